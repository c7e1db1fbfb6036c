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

from app.errors import ConfigError
from app.settings.entries import load_models, load_pulled
from app.settings.files import configs_folder, find_config, read_toml, resolve_path
from app.settings.sections import (
    ModelsSettings,
    Section,
    Settings,
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
    ("service", "data_dir"),
    ("engine", "model"),
    ("engine", "mmproj"),
    ("apps", "file"),
    ("guard", "file"),
    ("profile", "goals"),
    ("models", "file"),
}
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
    layers = _Layers()
    layers.add_file(configs_folder() / "default.toml")
    for config in configs:
        layers.add_file(find_config(config))
    for name, text in environ.items():
        if name.startswith(ENV_PREFIX) and "__" in name:
            section, key = name.removeprefix(ENV_PREFIX).lower().split("__", 1)
            layers.add(section, key, text, origin=name)
    for dotted, value in (overrides or {}).items():
        if value is not None:
            section, _, key = dotted.partition(".")
            layers.add(section, key, value, origin="command line")
    return layers.build(environ)


class _Layers:
    """Collects values with their origin; checks names at once and values at the end."""

    def __init__(self) -> None:
        self._values: dict[str, dict[str, object]] = {name: {} for name in _SECTIONS}
        self._origins: dict[tuple[str, str], str] = {}

    def add_file(self, path: Path) -> None:
        for section, table in read_toml(path).items():
            if not isinstance(table, dict):
                self._check_name(section, _SECTIONS, str(path), "section")
                raise ConfigError(f"{path}: {section}: must be a table [{section}]")
            for key, value in table.items():
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
