"""Layers of configuration; later layers take precedence:

    configs/default.toml  <-  named files  <-  PHONEPILOT_SECTION__KEY  <-  overrides (command line)

Every value remembers its origin, so that a `ConfigError` can name the file or the variable.
"""

from __future__ import annotations

import difflib
import json
import os
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, get_origin

from pydantic import SecretStr, TypeAdapter, ValidationError

from app.errors import ConfigError, ModelNotInstalled, ModelUnknown
from app.settings.entries import load_models, load_pulled
from app.settings.files import configs_folder, find_config, read_toml, resolve_path
from app.settings.sections import (
    MissingModel,
    ModelsSettings,
    Section,
    Settings,
    Sources,
    models_dir_of,
    platform_data_dir,
)

ENV_PREFIX = "PHONEPILOT_"
MODEL_PREFIX = "model:"

_SECTIONS: dict[str, type[Section]] = {
    name: field.annotation
    for name, field in Settings.model_fields.items()
    if isinstance(field.annotation, type)
}
_PATH_KEYS = {
    ("adb", "scrcpy_server"),
    ("service", "data_dir"),
    ("engine", "model"),
    ("engine", "mmproj"),
    ("apps", "file"),
    ("guard", "file"),
    ("profile", "goals"),
    ("models", "file"),
}
_MODEL_KEYS = {
    ("engine", "model"),
    ("engine", "mmproj"),
    ("engine", "alias"),
    ("engine", "image_min_tokens"),
    ("agent", "profile"),
}
"""What belongs to a model and not to the computer, besides the profile."""
_BINARY_KEYS = {("adb", "binary"), ("engine", "binary")}  # a bare name is looked up in PATH


def load_settings(
    configs: Sequence[str | Path] = (),
    overrides: Mapping[str, object] | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Settings:
    """Read all layers and return the validated settings.

    `configs` are paths of TOML files or names of shipped ones ("demo"). `overrides` maps
    "section.key" to a value; None means not given. Raises `ConfigError`.
    """
    settings = _load(configs, overrides or {}, environ)
    settings._sources = Sources(tuple(configs), dict(overrides or {}), environ)
    return settings


def with_model(settings: Settings, name: str) -> Settings:
    """Return what the settings would be with another installed model.

    A model of the catalogue brings its own configuration, profile included; what the other files
    say of the computer stays, and what they say of a model goes. One that was added under a name of
    its own takes the place of the files alone. Variables and the command line count as before,
    except where they name the model's files. Raises ModelUnknown, ModelNotInstalled, ConfigError.
    """
    known = {entry.name: entry for entry in load_models(settings.models)}
    if load_pulled(settings.models_dir, name) is None:
        entry = known.get(name)
        if entry is None:
            close = difflib.get_close_matches(name, known, n=1)
            raise ModelUnknown(
                f"no such model: {name!r}", f"Did you mean {close[0]}?" if close else ""
            )
        if entry.model is None:
            raise ModelNotInstalled(
                f"the model {name} is not installed", f"Get it: {entry.command}."
            )
    sources = settings.sources
    files = {"engine.model": f"{MODEL_PREFIX}{name}", "engine.mmproj": ""}
    changed = {**sources.overrides, **files}
    if name not in known or not known[name].config:
        return _load(sources.configs, changed | {"engine.alias": name}, sources.environ)
    own = {find_config(entry.config).resolve() for entry in known.values() if entry.config}
    machine = [config for config in sources.configs if find_config(config).resolve() not in own]
    return _load(machine, changed, sources.environ, model_config=known[name].config)


def _load(
    configs: Sequence[str | Path],
    overrides: Mapping[str, object],
    environ: Mapping[str, str],
    *,
    model_config: str = "",
) -> Settings:
    """With `model_config`, the profiles of `configs` are left out, and that file comes after."""
    layers = _Layers()
    layers.add_file(configs_folder() / "default.toml")
    for config in configs:
        layers.add_file(find_config(config), of_model=not model_config)
    if model_config:
        layers.add_file(find_config(model_config))
    for name, text in environ.items():
        if name.startswith(ENV_PREFIX) and "__" in name:
            section, key = name.removeprefix(ENV_PREFIX).lower().split("__", 1)
            layers.add(section, key, text, origin=name)
    for dotted, value in overrides.items():
        if value is not None:
            section, _, key = dotted.partition(".")
            layers.add(section, key, value, origin="command line")
    return layers.build(environ)


class _Layers:
    """Collects values with their origin; checks names at once and values at the end."""

    def __init__(self) -> None:
        self._values: dict[str, dict[str, object]] = {name: {} for name in _SECTIONS}
        self._origins: dict[tuple[str, str], str] = {}
        self._missing_model: MissingModel | None = None

    def add_file(self, path: Path, *, of_model: bool = True) -> None:
        """Add the values of a file; without `of_model` only those that say nothing of a model."""
        for section, table in read_toml(path).items():
            if not isinstance(table, dict):
                self._check_name(section, _SECTIONS, str(path), "section")
                raise ConfigError(f"{path}: {section}: must be a table [{section}]")
            for key, value in table.items():
                if not of_model and (section == "profile" or (section, key) in _MODEL_KEYS):
                    continue
                self.add(section, key, value, origin=str(path), base=path.parent)

    def add(
        self, section: str, key: str, value: object, *, origin: str, base: Path | None = None
    ) -> None:
        """Set one value; without `base` (no file) a string is parsed as the type of its key."""
        self._check_name(section, _SECTIONS, origin, "section")
        fields = _SECTIONS[section].model_fields
        allowed = [name for name in fields if name != "api_key"]
        if section == "guard" and key.endswith(("_apps", "_words")):
            raise ConfigError(
                f"{origin}: guard.{key}: no longer a key; the lists have a file of their own",
                "Put your additions into a file of the form of configs/guard.toml and name it in "
                "guard.file.",
            )
        self._check_name(key, allowed, f"{origin}: {section}", "key")
        if isinstance(value, str):
            if (section, key) == ("engine", "model") and value.startswith(MODEL_PREFIX):
                value = value.strip()
            elif (section, key) in _PATH_KEYS:
                value = resolve_path(value, base or Path.cwd())
            elif (section, key) in _BINARY_KEYS:
                bare = "/" not in value and os.sep not in value
                value = value if bare else resolve_path(value, base or Path.cwd())
            elif base is None:
                value = _from_text(fields[key].annotation, value)
        self._values[section][key] = value
        self._origins[section, key] = origin

    def build(self, environ: Mapping[str, str]) -> Settings:
        variable = self._values["engine"].get("api_key_env")
        if isinstance(variable, str) and variable:
            origin = self._origins["engine", "api_key_env"]
            key = _key(environ, variable, f"{origin}: engine.api_key_env")
            self._values["engine"]["api_key"] = SecretStr(key)
        self._resolve_model()
        try:
            settings = Settings.model_validate(self._values)
        except ValidationError as exc:
            raise self._explain(exc) from exc
        settings.engine._missing_model = self._missing_model
        return settings

    def _resolve_model(self) -> None:
        """Replace `model:NAME` by the files that were pulled under that name. A known name that is
        not installed yet becomes no model; the engine explains it when it is started."""
        engine = self._values["engine"]
        value = engine.get("model")
        if not (isinstance(value, str) and value.startswith(MODEL_PREFIX)):
            return
        name, origin = value.removeprefix(MODEL_PREFIX), self._origins["engine", "model"]
        chosen = self._values["service"].get("data_dir")
        models_dir = models_dir_of(Path(str(chosen)) if chosen else platform_data_dir())
        pulled = load_pulled(models_dir, name)
        if pulled is None:
            own = self._values["models"].get("file")
            known = load_models(ModelsSettings(file=Path(str(own)) if own else None))
            names = [entry.name for entry in known]
            self._check_name(name, names, f"{origin}: engine.model", "model")
            entry = next(entry for entry in known if entry.name == name)
            if entry.model is None:
                self._missing_model = MissingModel(name, entry.command)
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
        # A union reports one error per member; together they list everything that is allowed.
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


def _key(environ: Mapping[str, str], variable: str, where: str) -> str:
    """The key in a variable, without the space and the line end around what was read from a file.
    It is sent in a header, which cannot hold every character."""
    key = environ.get(variable, "").strip()
    if not key:
        state = "is empty" if variable in environ else "is not set"
        raise ConfigError(
            f"{where}: the variable {variable} {state}",
            f"Set {variable} to the key of the remote engine.",
        )
    if not (key.isascii() and key.isprintable()):
        raise ConfigError(  # without the key, which goes into the log otherwise
            f"{where}: the variable {variable} holds what is no key",
            f"Set {variable} to the key alone: letters, digits and signs, without line ends.",
        )
    return key


def _from_text(annotation: Any, text: str) -> object:
    """Parse an environment value as the type of its key. What does not fit stays a string and is
    rejected by the model, whose message names the rule."""
    try:
        if get_origin(annotation) is tuple:
            return shlex.split(text)
        if get_origin(annotation) is dict:
            return json.loads(text)
        return TypeAdapter(annotation).validate_strings(text)
    except (ValidationError, ValueError, RecursionError):
        return text
