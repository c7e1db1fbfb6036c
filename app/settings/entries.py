"""The lists of apps and models, shipped with phonepilot and extended by the operator; and records
of pulled models."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import BeforeValidator, Field, TypeAdapter, ValidationError

from app.errors import ConfigError
from app.settings.files import configs_folder, read_toml, resolve_path
from app.settings.sections import AppsSettings, Count, ModelsSettings, Section, Words

PULLED_FILE = "pulled.toml"
"""A file in a model's folder that records what was pulled or converted into it."""


def _shipped_path(raw: object) -> object:
    return Path(resolve_path(raw, Path.cwd())) if isinstance(raw, str) and raw else None


def _tuple(raw: object) -> object:
    return tuple(raw) if isinstance(raw, list) else raw


ShippedPath = Annotated[Path | None, BeforeValidator(_shipped_path)]
ModelName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*$", max_length=100)]
Repository = Annotated[
    str, Field(pattern=r"^([A-Za-z0-9][A-Za-z0-9_.-]*/[A-Za-z0-9][A-Za-z0-9_.-]*)?$")
]


class AppEntry(Section):
    """An app by the name people use and by Android's name."""

    name: Annotated[str, Field(min_length=1)]
    aliases: Words = ()
    package: Annotated[str, Field(min_length=1)]


class ModelMemory(Section):
    """Sizes in MiB of a model's Q4_K_S file, without and with the part that stays in main memory,
    and of its projector; values in the KV cache per token; width of the projector's transformer."""

    weights: Annotated[float, Field(gt=0)]
    host_weights: Annotated[float, Field(ge=0)]
    projector_f16: Annotated[float, Field(ge=0)]
    projector_q8_0: Annotated[float, Field(ge=0)]
    kv_values: Count
    vision_width: Count


class ModelEntry(Section):
    """A model by the name people use for it.

    `config` is the shipped configuration to run it with; `checkpoint` is the repository of the
    original, for conversion; `repository` is one with ready GGUF files; `model` and `mmproj` are
    files shipped with phonepilot.
    """

    name: ModelName
    title: Annotated[str, Field(min_length=1)]
    config: str = ""
    checkpoint: Repository = ""
    repository: Repository = ""
    model: ShippedPath = None
    mmproj: ShippedPath = None
    memory: ModelMemory | None = None

    @property
    def command(self) -> str:
        """What installs it: a pull where ready files are published, otherwise a conversion."""
        if self.repository:
            return f"phonepilot models pull {self.name}"
        return f"phonepilot models convert --model-path FOLDER --name {self.name}"


class PulledFile(Section):
    """A file in a model's folder: its size in bytes, and its hash when it was stored."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.+-]*\.gguf$", max_length=200)]
    size: Count
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class PulledModel(Section):
    """A pair of files that is ready to run; `repository` and `revision` are empty for files that
    were converted here. Of a model in several parts `model` is the first and `parts` the others, in
    their order."""

    repository: Repository = ""
    revision: Annotated[str, Field(pattern=r"^[0-9a-f]*$")] = ""
    model: PulledFile
    mmproj: PulledFile
    parts: Annotated[tuple[PulledFile, ...], BeforeValidator(_tuple), Field(max_length=999)] = ()

    @property
    def files(self) -> tuple[PulledFile, ...]:
        """All of them."""
        return (self.model, *self.parts, self.mmproj)

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)


E = TypeVar("E", AppEntry, ModelEntry)


def load_apps(settings: AppsSettings) -> tuple[AppEntry, ...]:
    """Read the shipped `apps.toml`, then the operator's file: the same name replaces an entry.

    Raises `ConfigError`.
    """
    return _load_entries(AppEntry, "app", "apps.toml", settings.file)


def load_models(settings: ModelsSettings) -> tuple[ModelEntry, ...]:
    """Read the shipped `models.toml` in the same way; raises `ConfigError`."""
    return _load_entries(ModelEntry, "model", "models.toml", settings.file)


def load_pulled(models_dir: Path, name: str) -> PulledModel | None:
    """Return what is installed in a model's folder; None if nothing, or only a part, is there.

    Raises `ConfigError` for an invalid name and for a damaged record.
    """
    try:
        TypeAdapter(ModelName).validate_python(name)
    except ValidationError as exc:
        raise ConfigError(
            f"{name!r} is not a model name", "`phonepilot models list` has them all."
        ) from exc
    record = models_dir / name / PULLED_FILE
    if not record.is_file():
        return None
    try:
        return PulledModel.model_validate(read_toml(record))
    except ValidationError as exc:
        raise ConfigError(
            f"{record}: not written by `models pull`",
            f"Pull it again: phonepilot models pull {name}.",
        ) from exc


def _load_entries(kind: type[E], table: str, shipped: str, own: Path | None) -> tuple[E, ...]:
    entries: dict[str, E] = {}
    for path in (configs_folder() / shipped, own):
        if path is not None:
            entries |= {entry.name: entry for entry in _read_entries(kind, table, path)}
    return tuple(entries.values())


def _read_entries(kind: type[E], table: str, path: Path) -> list[E]:
    rows = read_toml(path).get(table, [])
    try:
        return TypeAdapter(list[kind]).validate_python(rows, strict=True)  # type: ignore[valid-type]
    except ValidationError as exc:
        first = exc.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        required = [name for name, field in kind.model_fields.items() if field.is_required()]
        hint = f"Each is a table [[{table}]] with {', '.join(required)} and what else it may have."
        raise ConfigError(f"{path}: {table}.{where}: {first['msg']}", hint) from exc
