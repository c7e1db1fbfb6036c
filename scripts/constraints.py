"""Makes constraints.txt from the installed packages: exact versions, with the hashes of every file.

    scripts/setup.sh ".[dev]" && .venv/bin/python scripts/constraints.py > constraints.txt

Versions are those of this environment, so upgrade it first. Hashes are those of the files for all
platforms, from pip's configured index (PEP 691). Additional packages for other systems are listed
in ELSEWHERE; if one is missing there, this ends with an error.
"""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from importlib.metadata import distribution, distributions, version

from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

INDEX = "https://pypi.org/simple"
"""pip's own default."""
JSON = "application/vnd.pypi.simple.v1+json"
HEAD = """\
# The versions that phonepilot is tested with, and the hashes of their files: every package that
# `pip install -e ".[dev]"` brings. Made by scripts/constraints.py. pyproject.toml says what is
# allowed, this file what is installed: `pip install --require-hashes -r constraints.txt`.
"""
DEVELOPMENT = "# Only for development and tests:"
ELSEWHERE = {"colorama": "0.4.6", "pywin32": "312", "tzdata": "2026.6"}
"""Additional packages for Windows."""
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
PLATFORMS = (
    {"sys_platform": "linux", "os_name": "posix", "platform_system": "Linux"},
    {"sys_platform": "darwin", "os_name": "posix", "platform_system": "Darwin"},
    {"sys_platform": "win32", "os_name": "nt", "platform_system": "Windows"},
)


def environments() -> Iterator[dict[str, str]]:
    """Yield the markers of each kind of system that phonepilot runs on."""
    for platform in PLATFORMS:
        for python in PYTHONS:
            own = {name: str(value) for name, value in default_environment().items()}
            yield own | platform | {"python_version": python, "python_full_version": f"{python}.0"}


def needed(extra: str) -> set[str]:
    """Return the packages that phonepilot with an extra requires on any system."""
    known = {canonicalize_name(each.metadata["Name"]) for each in distributions()}
    found: set[str] = set()
    for environment in environments():
        seen, todo = set[tuple[str, str]](), [("phonepilot", extra)]
        while todo:
            if (each := todo.pop()) in seen:
                continue
            seen.add(each)
            name, wanted = each
            if name not in known:
                if name not in ELSEWHERE:
                    raise SystemExit(f"{name} is needed with {environment}: add it to ELSEWHERE")
                continue
            for text in distribution(name).requires or ():
                requirement = Requirement(text)
                marker = requirement.marker
                if marker is None or marker.evaluate(environment | {"extra": wanted}):
                    own = canonicalize_name(requirement.name)
                    todo += [(own, more) for more in ("", *requirement.extras)]
        found |= {name for name, _ in seen}
    return found - {"phonepilot"}


def index_url() -> str:
    command = [sys.executable, "-m", "pip", "config", "get", "global.index-url"]
    said = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    return (said or INDEX).rstrip("/")


def hashes(index: str, name: str, wanted: str) -> list[str]:
    """Return the SHA-256 of every file of a version."""
    request = urllib.request.Request(f"{index}/{name}/", headers={"Accept": JSON})
    with urllib.request.urlopen(request, timeout=60) as answer:
        files = json.load(answer)["files"]
    mine = (each for each in files if _version_of(each["filename"], name) == wanted)
    found = sorted({each["hashes"]["sha256"] for each in mine if not each.get("yanked")})
    if not found:
        raise SystemExit(f"{name} {wanted}: the index has no file of it")
    return found


def _version_of(filename: str, name: str) -> str:
    if filename.endswith(".whl"):
        return filename.split("-")[1]
    for ending in (".tar.gz", ".zip"):
        if filename.endswith(ending):
            stem = filename.removesuffix(ending)
            return stem[len(name) + 1 :]  # each -, _ or . of a name is also one character there
    return ""


def entries(index: str, names: set[str]) -> Iterator[str]:
    for name in sorted(names):
        pinned = ELSEWHERE.get(name) or version(name)
        only = ' ; sys_platform == "win32"' if name in ELSEWHERE else ""
        lines = [f"{name}=={pinned}{only}"]
        lines += [f"    --hash=sha256:{each}" for each in hashes(index, name, pinned)]
        yield " \\\n".join(lines)
        print(name, file=sys.stderr)


def main() -> None:
    index, run_time, every = index_url(), needed(""), needed("dev")
    print(HEAD, end="")
    print("\n".join(entries(index, run_time)))
    print(DEVELOPMENT)
    print("\n".join(entries(index, every - run_time)))


if __name__ == "__main__":
    main()
