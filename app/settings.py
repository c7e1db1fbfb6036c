"""What the operator may choose, and the only place that reads configuration files and environment.

Layers, the later one wins:

    configs/default.toml  <-  named files  <-  PHONEPILOT_SECTION__KEY  <-  overrides (command line)

Every value remembers where it came from, so a `ConfigError` can name the file or the variable.
"""

from __future__ import annotations

import difflib
import importlib.resources
import os
import shlex
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from platformdirs import user_data_dir
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    TypeAdapter,
    ValidationError,
)

from app.errors import ConfigError

ENV_PREFIX = "PHONEPILOT_"
PACKAGE_PREFIX = "package:"
MODEL_PREFIX = "model:"
PULLED_FILE = "pulled.toml"
"""In a model's folder: what was pulled or converted into it."""


def _optional_path(raw: object) -> object:
    return (Path(raw) if raw else None) if isinstance(raw, str) else raw


def _shipped_path(raw: object) -> object:
    return Path(_resolve_path(raw, Path.cwd())) if isinstance(raw, str) and raw else None


def _words(raw: object) -> object:
    return tuple(raw) if isinstance(raw, list) else raw


def _platform_data_dir() -> Path:
    return Path(user_data_dir("phonepilot", appauthor=False))


def _data_dir(raw: object) -> object:
    return (Path(raw) if raw else _platform_data_dir()) if isinstance(raw, str) else raw


Port = Annotated[int, Field(ge=1, le=65535)]
AnyPort = Annotated[int, Field(ge=0, le=65535)]
Count = Annotated[int, Field(ge=0)]
Seconds = Annotated[float, Field(gt=0)]
OptionalPath = Annotated[Path | None, BeforeValidator(_optional_path)]
ShippedPath = Annotated[Path | None, BeforeValidator(_shipped_path)]
Words = Annotated[tuple[str, ...], BeforeValidator(_words)]
ModelName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*$", max_length=100)]
Repository = Annotated[
    str, Field(pattern=r"^([A-Za-z0-9][A-Za-z0-9_.-]*/[A-Za-z0-9][A-Za-z0-9_.-]*)?$")
]
CacheType = Literal["f32", "f16", "bf16", "q8_0", "q4_0", "q4_1", "iq4_nl", "q5_0", "q5_1"]


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class ServiceSettings(Section):
    host: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    port: AnyPort = 8770
    data_dir: Annotated[Path, BeforeValidator(_data_dir)] = Field(
        default_factory=_platform_data_dir
    )
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


class EngineSettings(Section):
    kind: Literal["auto", "llama-server", "embedded", "remote"] = "auto"
    url: Annotated[str, Field(pattern=r"^(https?://\S+)?$")] = ""
    api_key_env: str = ""
    api_key: SecretStr = SecretStr("")  # filled from the variable named above, never from a file
    binary: str = ""
    model: OptionalPath = None
    mmproj: OptionalPath = None
    alias: str = ""
    context: Annotated[int, Field(ge=256)] = 16384
    gpu_layers: Annotated[int, Field(ge=0)] | Literal["auto", "all"] = "auto"
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
    extra_args: Words = ()
    port: AnyPort = 0
    self_test: Literal["auto", "on", "off"] = "auto"
    idle_unload_s: Count = 0
    start_timeout_s: Seconds = 300.0
    request_timeout_s: Seconds = 120.0
    stop_timeout_s: Seconds = 5.0


class AgentSettings(Section):
    lang: Literal["en", "zh"] = "en"
    max_steps: Annotated[int, Field(ge=1)] = 100
    timeout_s: Seconds = 1800.0
    profile: str = "autoglm-phone-9b"
    confirm: Literal["ask", "deny", "allow"] = "ask"
    reply_timeout_s: Seconds = 300.0
    resume_within_s: Annotated[float, Field(ge=0)] = 600.0
    second_look: Literal["off", "judge", "fresh"] = "off"


class GuardSettings(Section):
    payment_apps: Words = ()
    payment_words: Words = ()
    install_apps: Words = ()
    install_words: Words = ()
    message_apps: Words = ()
    message_words: Words = ()
    login_apps: Words = ()
    login_words: Words = ()
    system_apps: Words = ()
    system_words: Words = ()


class ProfileSettings(Section):
    prompt: Annotated[str, Field(pattern=r"^[a-z0-9_-]+$")] = "autoglm"
    image_width: Count = 0
    image_height: Count = 0
    temperature: Annotated[float, Field(ge=0, le=5)] = 0.0
    top_p: Annotated[float, Field(gt=0, le=1)] = 0.85
    frequency_penalty: Annotated[float, Field(ge=-2, le=2)] = 0.2
    max_tokens: Annotated[int, Field(ge=1)] = 3000
    feedback: bool = True
    reads: bool = True
    grammar: Literal["auto", "on", "off"] = "auto"


class AppsSettings(Section):
    file: OptionalPath = None


class ModelsSettings(Section):
    file: OptionalPath = None


class Settings(Section):
    service: ServiceSettings = ServiceSettings()
    adb: AdbSettings = AdbSettings()
    engine: EngineSettings = EngineSettings()
    agent: AgentSettings = AgentSettings()
    profile: ProfileSettings = ProfileSettings()
    guard: GuardSettings = GuardSettings()
    apps: AppsSettings = AppsSettings()
    models: ModelsSettings = ModelsSettings()

    @property
    def tokens_file(self) -> Path:
        """Where the digests of access tokens lie."""
        return self.service.data_dir / "tokens.json"

    @property
    def webhook_secret_file(self) -> Path:
        """What webhooks are signed with."""
        return self.service.data_dir / "webhook-secret"

    @property
    def prompts_dir(self) -> Path:
        """Where imported prompts lie."""
        return self.service.data_dir / "prompts"

    @property
    def models_dir(self) -> Path:
        """Where pulled models lie, each in a folder of its name."""
        return _models_dir(self.service.data_dir)


class AppEntry(Section):
    """An app as people call it and as Android names it."""

    name: Annotated[str, Field(min_length=1)]
    aliases: Words = ()
    package: Annotated[str, Field(min_length=1)]


class ModelMemory(Section):
    """Sizes in MiB of a model's Q4_K_S file without and with what stays in main memory, and of its
    projector; values in the KV cache for each token; width of the projector's transformer."""

    weights: Annotated[float, Field(gt=0)]
    host_weights: Annotated[float, Field(ge=0)]
    projector_f16: Annotated[float, Field(ge=0)]
    projector_q8_0: Annotated[float, Field(ge=0)]
    kv_values: Count
    vision_width: Count


class ModelEntry(Section):
    """A model by the name people use for it.

    `config` is the shipped configuration to run it with; `checkpoint` the repository of the
    original, to be converted; `repository` one that holds ready GGUF files; `model` and `mmproj`
    are files that come with phonepilot.
    """

    name: ModelName
    title: Annotated[str, Field(min_length=1)]
    config: str = ""
    checkpoint: Repository = ""
    repository: Repository = ""
    model: ShippedPath = None
    mmproj: ShippedPath = None
    memory: ModelMemory | None = None


class PulledFile(Section):
    """A file in a model's folder: bytes, and the hash that it had when it was put there."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.+-]*\.gguf$", max_length=200)]
    size: Count
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class PulledModel(Section):
    """A pair of files that is ready to run; `repository` and `revision` are empty for files that
    were converted here."""

    repository: Repository = ""
    revision: Annotated[str, Field(pattern=r"^[0-9a-f]*$")] = ""
    model: PulledFile
    mmproj: PulledFile


E = TypeVar("E", AppEntry, ModelEntry)

_SECTIONS: dict[str, type[Section]] = {
    name: field.annotation
    for name, field in Settings.model_fields.items()
    if isinstance(field.annotation, type)
}
_PATH_KEYS = {
    ("service", "data_dir"),
    ("engine", "model"),
    ("engine", "mmproj"),
    ("apps", "file"),
    ("models", "file"),
}
_BINARY_KEYS = {("adb", "binary"), ("engine", "binary")}  # a bare name is looked up in PATH


def load_settings(
    configs: Sequence[str | Path] = (),
    overrides: Mapping[str, object] | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Settings:
    """Read all layers and return the validated whole.

    `configs` holds paths of TOML files or the bare names of shipped ones ("demo"). `overrides` maps
    "section.key" to a value; None means not given. Raises `ConfigError`.
    """
    layers = _Layers()
    layers.add_file(configs_folder() / "default.toml")
    for config in configs:
        layers.add_file(_find_config(config))
    for name, text in environ.items():
        if name.startswith(ENV_PREFIX) and "__" in name:
            section, key = name.removeprefix(ENV_PREFIX).lower().split("__", 1)
            layers.add(section, key, text, origin=name)
    for dotted, value in (overrides or {}).items():
        if value is not None:
            section, _, key = dotted.partition(".")
            layers.add(section, key, value, origin="command line")
    return layers.build(environ)


def load_apps(settings: AppsSettings) -> tuple[AppEntry, ...]:
    """The shipped `apps.toml` with the operator's own file on top: the same name replaces an entry.

    Raises `ConfigError`.
    """
    return _load_entries(AppEntry, "app", "apps.toml", settings.file)


def load_models(settings: ModelsSettings) -> tuple[ModelEntry, ...]:
    """The shipped `models.toml`, likewise; raises `ConfigError`."""
    return _load_entries(ModelEntry, "model", "models.toml", settings.file)


def load_pulled(models_dir: Path, name: str) -> PulledModel | None:
    """What lies ready in the folder of a model; None for nothing, or only a part of it.

    Raises `ConfigError` for a name that is none and for a record that was damaged.
    """
    try:
        TypeAdapter(ModelName).validate_python(name)
    except ValidationError as exc:
        raise ConfigError(
            f"{name!r} is no name of a model", "`phonepilot models list` has them all."
        ) from exc
    record = models_dir / name / PULLED_FILE
    if not record.is_file():
        return None
    try:
        return PulledModel.model_validate(_read_toml(record))
    except ValidationError as exc:
        raise ConfigError(
            f"{record}: not what `models pull` wrote",
            f"Pull it again: phonepilot models pull {name}.",
        ) from exc


def configs_folder() -> Path:
    """Where the shipped TOML files lie: inside an installed wheel, else in the checkout."""
    package = _package_folder()
    installed = package / "configs"
    return installed if installed.is_dir() else package.parent / "configs"


def _package_folder() -> Path:
    return Path(str(importlib.resources.files("app")))


def _find_config(config: str | Path) -> Path:
    path = Path(config).expanduser()
    if path.is_file():
        return path
    shipped = configs_folder() / f"{config}.toml"
    if path.name == str(config) and shipped.is_file():
        return shipped
    hidden = {"default", "apps", "models"}
    names = sorted(p.stem for p in configs_folder().glob("*.toml") if p.stem not in hidden)
    raise ConfigError(
        f"configuration not found: {config}",
        f"Give the path of a TOML file or one of the shipped names: {', '.join(names)}.",
    )


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as exc:
        raise ConfigError(f"{path}: cannot be read: {exc.strerror}") from exc
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise ConfigError(f"{path}: not valid TOML: {exc}") from exc


def _load_entries(kind: type[E], table: str, shipped: str, own: Path | None) -> tuple[E, ...]:
    entries: dict[str, E] = {}
    for path in (configs_folder() / shipped, own):
        if path is not None:
            entries |= {entry.name: entry for entry in _read_entries(kind, table, path)}
    return tuple(entries.values())


def _read_entries(kind: type[E], table: str, path: Path) -> list[E]:
    rows = _read_toml(path).get(table, [])
    try:
        return TypeAdapter(list[kind]).validate_python(rows, strict=True)  # type: ignore[valid-type]
    except ValidationError as exc:
        first = exc.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        required = [name for name, field in kind.model_fields.items() if field.is_required()]
        hint = f"Each is a table [[{table}]] with {', '.join(required)} and what else it may have."
        raise ConfigError(f"{path}: {table}.{where}: {first['msg']}", hint) from exc


class _Layers:
    """Collects values with their origin; checks names at once and values at the end."""

    def __init__(self) -> None:
        self._values: dict[str, dict[str, object]] = {name: {} for name in _SECTIONS}
        self._origins: dict[tuple[str, str], str] = {}

    def add_file(self, path: Path) -> None:
        for section, table in _read_toml(path).items():
            if not isinstance(table, dict):
                self._check_name(section, _SECTIONS, str(path), "section")
                raise ConfigError(f"{path}: {section}: must be a table [{section}]")
            for key, value in table.items():
                self.add(section, key, value, origin=str(path), base=path.parent)

    def add(
        self, section: str, key: str, value: object, *, origin: str, base: Path | None = None
    ) -> None:
        """Set one value; without `base` (no file) a text is read as the type of its key."""
        self._check_name(section, _SECTIONS, origin, "section")
        fields = _SECTIONS[section].model_fields
        allowed = [name for name in fields if name != "api_key"]
        self._check_name(key, allowed, f"{origin}: {section}", "key")
        if isinstance(value, str):
            if (section, key) == ("engine", "model") and value.startswith(MODEL_PREFIX):
                value = value.strip()
            elif (section, key) in _PATH_KEYS:
                value = _resolve_path(value, base or Path.cwd())
            elif (section, key) in _BINARY_KEYS:
                bare = "/" not in value and os.sep not in value
                value = value if bare else _resolve_path(value, base or Path.cwd())
            elif base is None:
                value = _from_text(fields[key].annotation, value)
        self._values[section][key] = value
        self._origins[section, key] = origin

    def build(self, environ: Mapping[str, str]) -> Settings:
        variable = self._values["engine"].get("api_key_env")
        if isinstance(variable, str) and variable:
            if variable not in environ:
                origin = self._origins["engine", "api_key_env"]
                raise ConfigError(
                    f"{origin}: engine.api_key_env: the variable {variable} is not set",
                    f"Set {variable} to the key of the remote engine.",
                )
            self._values["engine"]["api_key"] = SecretStr(environ[variable])
        self._resolve_model()
        try:
            return Settings.model_validate(self._values)
        except ValidationError as exc:
            raise self._explain(exc) from exc

    def _resolve_model(self) -> None:
        """`model:NAME` becomes the files that were pulled under that name; a known name of which
        nothing is here yet is no model, which the engine explains when it is to start."""
        engine = self._values["engine"]
        value = engine.get("model")
        if not (isinstance(value, str) and value.startswith(MODEL_PREFIX)):
            return
        name, origin = value.removeprefix(MODEL_PREFIX), self._origins["engine", "model"]
        chosen = self._values["service"].get("data_dir")
        models_dir = _models_dir(Path(str(chosen)) if chosen else _platform_data_dir())
        pulled = load_pulled(models_dir, name)
        if pulled is None:
            own = self._values["models"].get("file")
            known = load_models(ModelsSettings(file=Path(str(own)) if own else None))
            names = [entry.name for entry in known]
            self._check_name(name, names, f"{origin}: engine.model", "model")
            entry = next(entry for entry in known if entry.name == name)
            engine["model"] = str(entry.model or "")
            if not engine.get("mmproj"):
                engine["mmproj"] = str(entry.mmproj or "")
            return
        engine["model"] = str(models_dir / name / pulled.model.name)
        if not engine.get("mmproj"):
            engine["mmproj"] = str(models_dir / name / pulled.mmproj.name)

    def _explain(self, exc: ValidationError) -> ConfigError:
        errors = exc.errors()
        section, key = (str(part) for part in errors[0]["loc"][:2])
        origin = self._origins.get((section, key), "default")
        # A union reports one error per member; together they say all that is allowed.
        same = [error["msg"] for error in errors if error["loc"][:2] == errors[0]["loc"][:2]]
        value = self._values[section].get(key)
        rule = "; or: ".join(dict.fromkeys(same))
        return ConfigError(f"{origin}: {section}.{key}: {value!r} is not allowed", f"{rule}.")

    @staticmethod
    def _check_name(name: str, allowed: Iterable[str], origin: str, what: str) -> None:
        known = list(allowed)
        if name in known:
            return
        close = difflib.get_close_matches(name, known, n=1)
        guess = f"Did you mean {close[0]}? " if close else ""
        raise ConfigError(
            f"{origin}: unknown {what} {name!r}", f"{guess}Allowed: {', '.join(known)}."
        )


def _models_dir(data_dir: Path) -> Path:
    return data_dir / "models"


def _resolve_path(text: str, base: Path) -> str:
    """`package:` means inside the installed package; other relative paths start at `base`."""
    if not text:
        return ""
    if text.startswith(PACKAGE_PREFIX):
        return str(_package_folder() / text.removeprefix(PACKAGE_PREFIX))
    return str(base / Path(text).expanduser())


def _from_text(annotation: Any, text: str) -> object:
    """Read an environment value as the type of its key; what does not fit stays text and is
    refused by the model, whose message names the rule."""
    try:
        if annotation == tuple[str, ...]:
            return shlex.split(text)
        return TypeAdapter(annotation).validate_strings(text)
    except (ValidationError, ValueError):
        return text
