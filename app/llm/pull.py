"""A model and its projector from the hub into the data folder."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from app.errors import InputError, ModelError
from app.llm.catalogue import PART, Progress, alone, need_space, record, sha256_of
from app.llm.files import check_files
from app.llm.hub import HubFile, Listing, download, list_files
from app.llm.parts import PartName, part_name
from app.settings import PulledFile, PulledModel

PREFERRED = ("Q4_K_S", "Q4_K_M", "Q5_K_S", "Q5_K_M", "Q8_0")
"""The quantisations to take when none is asked for, the first that is there."""
PROJECTORS = ("f16", "q8_0", "bf16", "f32")
"""Likewise for the projector: f16 is what the converter writes."""
_QUANT = re.compile(
    r"(?<![A-Za-z0-9])(I?Q\d\w*|T[QX]\d_\d|MXFP4\w*|BF16|F16|F32|FP16)(?![A-Za-z0-9])",
    re.IGNORECASE,
)
_SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,190}\.gguf")
_REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*/[A-Za-z0-9][A-Za-z0-9_.-]*")
_KINDS_IN_NAMES = {"fp16": "f16"}


def quantisation(name: str) -> str:
    """What a file's name says of its quantisation, in capitals; "" for nothing."""
    found = _QUANT.findall(name)
    return _KINDS_IN_NAMES.get(found[-1].lower(), found[-1]).upper() if found else ""


Parts = tuple[HubFile, ...]
"""The files of one model in their order."""


def choose(listing: Listing, quant: str | None, projector: str | None) -> tuple[Parts, HubFile]:
    """The model's files, several of a split one, and its projector's.

    Raises ModelError for a repository that lacks either, and for one with names that would lead out
    of the folder or hide something: such a repository is no accident.
    """
    files = [_checked(file) for file in listing.files if file.path.lower().endswith(".gguf")]
    projectors = [(file,) for file in files if "mmproj" in _name(file).lower()]
    models, incomplete = _models([file for file in files if "mmproj" not in _name(file).lower()])
    if not models:
        lacks = f"only parts of a GGUF model: {incomplete[0]}" if incomplete else "no GGUF model"
        raise ModelError(
            f"{listing.repository} has {lacks}",
            "Give another one with --repository, or convert the original: "
            "phonepilot models convert.",
        )
    if not projectors:
        raise ModelError(
            f"{listing.repository} has no projector (mmproj-*.gguf); without it the model is blind",
            "Give another one with --repository, or convert the original: "
            "phonepilot models convert makes both.",
        )
    model = _by_kind(models, quant, PREFERRED, "--quant")
    (mmproj,) = _by_kind(projectors, projector, PROJECTORS, "--mmproj")
    return model, mmproj


def _models(files: Iterable[HubFile]) -> tuple[list[Parts], list[str]]:
    """The complete models among files, and for each other one the name of a part that it lacks."""
    models: list[Parts] = []
    split: dict[tuple[str, str, int], dict[int, HubFile]] = {}
    for file in files:
        folder, _, name = file.path.rpartition("/")
        if part := part_name(name):
            split.setdefault((folder, part.stem, part.count), {})[part.number] = file
        else:
            models.append((file,))
    incomplete = []
    for (_, stem, count), found in split.items():
        missing = next((number for number in range(1, count + 1) if number not in found), None)
        if missing is None:
            models.append(tuple(found[number] for number in range(1, count + 1)))
        else:
            incomplete.append(f"{PartName(stem, missing, count).of(missing)} is missing")
    return models, incomplete


def pull(
    repository: str,
    folder: Path,
    on_progress: Progress,
    *,
    quant: str | None = None,
    projector: str | None = None,
    endpoint: str | None = None,
) -> PulledModel:
    """Bring a model and its projector into `folder` and record them; what is there already is not
    fetched again.

    A file gets its name when it is whole and its checksum right; until then it is a part that the
    next pull goes on with. Raises InputError for a repository that is none, ModelError, and
    EngineStartFailed for a pair that no engine could work with.
    """
    if not _REPOSITORY.fullmatch(repository):
        raise InputError(f"{repository!r} is not a repository name", "Write it as OWNER/NAME.")
    listing = list_files(repository, endpoint)
    parts, eyes = choose(listing, quant, projector)
    chosen = (*parts, eyes)
    if not re.fullmatch(r"[0-9a-f]{40}", listing.revision):
        raise ModelError(f"the hub did not report the revision of {repository}")
    model, *others, mmproj = (
        PulledFile(name=_name(file), size=file.size, sha256=file.sha256) for file in chosen
    )
    pulled = PulledModel(
        repository=repository,
        revision=listing.revision,
        model=model,
        mmproj=mmproj,
        parts=tuple(others),
    )
    with alone(folder):
        missing = [file for file in chosen if not _is_here(folder, file, on_progress)]
        rest = sum(file.size - _size(_part(folder, file)) for file in missing)
        need_space(folder, rest, "the download")
        for file in missing:
            _fetch(listing, file, folder, on_progress, endpoint)
        check_files(folder / model.name, folder / mmproj.name)
        record(folder, pulled)
    return pulled


def _fetch(
    listing: Listing, file: HubFile, folder: Path, on_progress: Progress, endpoint: str | None
) -> None:
    name, part = _name(file), _part(folder, file)
    if _size(part) > file.size:
        part.unlink()
    download(listing, file, part, lambda done: on_progress(name, done, file.size), endpoint)

    def checking(_: str, done: int, size: int) -> None:
        on_progress(f"checking {name}", done, size)

    if sha256_of(part, checking) != file.sha256:
        part.unlink()
        raise ModelError(
            f"{name} is damaged: its checksum differs from the hub's; it was deleted",
            "Give the command again. If it happens twice, something between here and the hub "
            "changes what it passes on.",
        )
    with part.open("rb") as whole:
        os.fsync(whole.fileno())
    part.replace(folder / name)


def _is_here(folder: Path, file: HubFile, on_progress: Progress) -> bool:
    path = folder / _name(file)
    return _size(path) == file.size and sha256_of(path, on_progress) == file.sha256


def _part(folder: Path, file: HubFile) -> Path:
    """Named by its checksum: parts of two versions of a file are never put together."""
    return folder / f"{_name(file)}.{file.sha256[:16]}{PART}"


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _name(file: HubFile) -> str:
    return file.path.rpartition("/")[2]


def _checked(file: HubFile) -> HubFile:
    parents, _, name = file.path.rpartition("/")
    folders = parents.split("/") if parents else []
    odd = any(part in ("", ".", "..") or not part.isprintable() for part in folders)
    if odd or "\\" in parents or not _SAFE_NAME.fullmatch(name):
        raise ModelError(
            f"the hub names a file that may not be written: {file.path!r}",
            "Nothing was downloaded. Do not use this repository.",
        )
    if not re.fullmatch(r"[0-9a-f]{64}", file.sha256) or file.size <= 0:
        raise ModelError(
            f"the hub did not report a checksum or size of {name}", "Try another repository."
        )
    return file


def _by_kind(
    models: Sequence[Parts], asked: str | None, preferred: Iterable[str], option: str
) -> Parts:
    kinds: dict[str, Parts] = {}
    for files in models:  # one file rather than several of the same kind
        kinds.setdefault(quantisation(_name(files[0])), files)
    for kind in [asked] if asked else [*preferred, *kinds]:
        if kind.upper() in kinds:
            return kinds[kind.upper()]
    there = ", ".join(sorted(kind for kind in kinds if kind)) or "none that names it"
    raise ModelError(f"{asked} is not in the repository", f"There is: {there}. Choose by {option}.")
