"""Finds configuration files, and resolves the paths in them."""

from __future__ import annotations

import importlib.resources
import tomllib
from pathlib import Path
from typing import Any

from app.errors import ConfigError

PACKAGE_PREFIX = "package:"


def configs_folder() -> Path:
    """Return the folder of the shipped TOML files: in an installed wheel, else in the checkout."""
    package = package_folder()
    installed = package / "configs"
    return installed if installed.is_dir() else package.parent / "configs"


def package_folder() -> Path:
    return Path(str(importlib.resources.files("app")))


def find_config(config: str | Path) -> Path:
    """Return the file at that path, or the shipped one of that name; raises ConfigError."""
    path = Path(config).expanduser()
    if path.is_file():
        return path
    shipped = configs_folder() / f"{config}.toml"
    if path.name == str(config) and shipped.is_file():
        return shipped
    hidden = {"default", "apps", "guard", "models"}
    names = sorted(p.stem for p in configs_folder().glob("*.toml") if p.stem not in hidden)
    raise ConfigError(
        f"configuration not found: {config}",
        f"Give the path of a TOML file or one of the shipped names: {', '.join(names)}.",
    )


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file. Raises ConfigError if it is unreadable or not TOML."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as exc:
        raise ConfigError(f"{path}: cannot be read: {exc.strerror}") from exc
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise ConfigError(f"{path}: not valid TOML: {exc}") from exc


def resolve_path(text: str, base: Path) -> str:
    """Resolve a path: `package:` is inside the installed package; relative ones start at `base`."""
    if not text:
        return ""
    if text.startswith(PACKAGE_PREFIX):
        return str(package_folder() / text.removeprefix(PACKAGE_PREFIX))
    return str(base / Path(text).expanduser())
