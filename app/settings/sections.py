"""The keys of each section, their types and defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from platformdirs import user_data_dir
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    SecretStr,
)


def _optional_path(raw: object) -> object:
    return (Path(raw) if raw else None) if isinstance(raw, str) else raw


def _words(raw: object) -> object:
    return tuple(raw) if isinstance(raw, list) else raw


def _not_ours(fields: dict[str, Any]) -> dict[str, Any]:
    if ours := fields.keys() & {"messages", "model", "stream"}:
        raise ValueError(f"{', '.join(sorted(ours))} cannot be replaced")
    return fields


def platform_data_dir() -> Path:
    return Path(user_data_dir("phonepilot", appauthor=False))


def _data_dir(raw: object) -> object:
    return (Path(raw) if raw else platform_data_dir()) if isinstance(raw, str) else raw


Port = Annotated[int, Field(ge=1, le=65535)]
AnyPort = Annotated[int, Field(ge=0, le=65535)]
Count = Annotated[int, Field(ge=0)]
Seconds = Annotated[float, Field(gt=0)]
OptionalPath = Annotated[Path | None, BeforeValidator(_optional_path)]
Words = Annotated[tuple[str, ...], BeforeValidator(_words)]
SentField = Literal["temperature", "top_p", "frequency_penalty", "max_tokens", "stream_options"]
"""The fields of a request that some hosts refuse or know by another name."""
FieldName = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$", max_length=100)]
CacheType = Literal["f32", "f16", "bf16", "q8_0", "q4_0", "q4_1", "iq4_nl", "q5_0", "q5_1"]


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class ServiceSettings(Section):
    host: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    port: AnyPort = 8770
    data_dir: Annotated[Path, BeforeValidator(_data_dir)] = Field(default_factory=platform_data_dir)
    keep_screenshots: bool = True
    keep_days: Annotated[float, Field(ge=0)] = 0.0
    screenshots_mib: Count = 2048
    min_free_mib: Count = 256
    auth: Literal["auto", "always"] = "auto"
    allowed_hosts: Words = ()
    rate_limit: str = "1200/minute"
    callback_hosts: Words = ()
    shutdown_s: Seconds = 10.0
    log: Literal["text", "json"] = "text"


class AdbSettings(Section):
    server_host: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    server_port: Port = 5037
    binary: str = ""
    private: bool = False
    return_timeout_s: Seconds = 45.0
    scrcpy: Literal["auto", "off"] = "auto"
    scrcpy_server: OptionalPath = None


@dataclass(frozen=True)
class MissingModel:
    """A model that a configuration names and that is not installed; `command` gets it."""

    name: str
    command: str


class EngineSettings(Section):
    kind: Literal["auto", "llama-server", "embedded", "remote"] = "auto"
    url: Annotated[str, Field(pattern=r"^(https?://\S+)?$")] = ""
    api_key_env: str = ""
    api_key: SecretStr = SecretStr("")  # filled from the variable named above, never from a file
    binary: str = ""
    model: OptionalPath = None
    mmproj: OptionalPath = None
    alias: str = ""
    rename_fields: dict[SentField, FieldName] = {}
    omit_fields: Annotated[tuple[SentField, ...], BeforeValidator(_words)] = ()
    extra_fields: Annotated[dict[FieldName, Any], AfterValidator(_not_ours)] = {}
    fallback: Words = ()
    image_max_mib: Annotated[float, Field(ge=0)] = 4.0
    context: Annotated[int, Field(ge=256)] = 16384
    gpu_layers: Annotated[int, Field(ge=0)] | Literal["auto", "all"] = "auto"
    fit_target: Count = 0
    parallel: Annotated[int, Field(ge=1)] = 1
    max_calls: Count = 0
    threads: Count = 0
    image_min_tokens: Count = 0
    image_max_tokens: Count = 0
    cache_type_k: CacheType = "f16"
    cache_type_v: CacheType = "f16"
    cache_ram: Count = 512
    flash_attention: Literal["auto", "on", "off"] = "auto"
    mmproj_offload: bool = True
    batch: Count = 0
    ubatch: Count = 0
    speculation: Literal["off", "ngram"] = "off"
    extra_args: Words = ()
    port: AnyPort = 0
    self_test: Literal["auto", "on", "off"] = "auto"
    idle_unload_s: Count = 0
    start_timeout_s: Seconds = 300.0
    request_timeout_s: Seconds = 120.0
    stop_timeout_s: Seconds = 5.0
    _missing_model: MissingModel | None = PrivateAttr(default=None)

    @property
    def missing_model(self) -> MissingModel | None:
        """Why there is no `model` although the configuration names one."""
        return self._missing_model


class AgentSettings(Section):
    lang: Literal["en", "zh"] = "en"
    max_steps: Annotated[int, Field(ge=1)] = 100
    timeout_s: Seconds = 1800.0
    profile: str = "autoglm-phone-9b"
    confirm: Literal["ask", "deny", "allow"] = "ask"
    reply_timeout_s: Seconds = 300.0
    resume_within_s: Annotated[float, Field(ge=0)] = 600.0
    environment_secrets: Literal["password", "any"] = "password"
    second_look: Literal["off", "judge", "fresh"] = "off"


class GuardSettings(Section):
    file: OptionalPath = None
    off: Words = ()


class ProfileSettings(Section):
    dialect: Literal[
        "autoglm",
        "qwen",
        "gui-owl",
        "mai-ui",
        "mobileforge",
        "ui-tars",
        "doubao-ui-tars",
        "seed",
        "ui-venus",
        "glmv",
        "step-gui",
    ] = "autoglm"
    prompt: Annotated[str, Field(pattern=r"^[a-z0-9_-]*$")] = ""
    goals: OptionalPath = None
    image_width: Count = 0
    image_height: Count = 0
    coordinates: Literal["auto", "thousandths", "pixels"] = "auto"
    images_kept: Count = 0
    answer_ends: bool | Literal["auto"] = "auto"
    temperature: Annotated[float, Field(ge=0, le=5)] = 0.0
    top_p: Annotated[float, Field(gt=0, le=1)] = 0.85
    frequency_penalty: Annotated[float, Field(ge=-2, le=2)] = 0.2
    max_tokens: Annotated[int, Field(ge=1)] = 3000
    feedback: bool = True
    reads: bool = True
    grammar: Literal["auto", "on", "off"] = "auto"
    max_thought: Annotated[int, Field(ge=0, le=100_000)] = 0


class AppsSettings(Section):
    file: OptionalPath = None


class ModelsSettings(Section):
    file: OptionalPath = None


@dataclass(frozen=True)
class Sources:
    """What settings were read from, to read them again for another model. All are equal, so that
    equal settings are."""

    configs: tuple[str | Path, ...] = field(default=(), compare=False)
    overrides: Mapping[str, object] = field(default_factory=dict, compare=False)
    environ: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)


class Settings(Section):
    service: ServiceSettings = ServiceSettings()
    adb: AdbSettings = AdbSettings()
    engine: EngineSettings = EngineSettings()
    agent: AgentSettings = AgentSettings()
    profile: ProfileSettings = ProfileSettings()
    guard: GuardSettings = GuardSettings()
    apps: AppsSettings = AppsSettings()
    models: ModelsSettings = ModelsSettings()
    _sources: Sources = PrivateAttr(default_factory=Sources)

    @property
    def sources(self) -> Sources:
        return self._sources

    @property
    def tokens_file(self) -> Path:
        """The file with the digests of access tokens."""
        return self.service.data_dir / "tokens.json"

    @property
    def webhook_secret_file(self) -> Path:
        """The file with the secret that signs webhooks."""
        return self.service.data_dir / "webhook-secret"

    @property
    def prompts_dir(self) -> Path:
        """The folder of imported prompts."""
        return self.service.data_dir / "prompts"

    @property
    def models_dir(self) -> Path:
        """The folder of pulled models, each in a folder with its name."""
        return models_dir_of(self.service.data_dir)


def models_dir_of(data_dir: Path) -> Path:
    return data_dir / "models"
