"""Pulling a model from a hub on this computer, with what networks, disks and strangers do."""

from __future__ import annotations

import errno
import gzip
import os
import shutil
import signal
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from app.errors import EngineStartFailed, InputError, ModelError
from app.llm import hub as hub_module
from app.llm.catalogue import PART, alone
from app.llm.hub import HubFile, Listing
from app.llm.pull import choose, pull, quantisation
from app.settings import PULLED_FILE, load_pulled, load_settings
from tests.llm.hub_server import REPOSITORY, REVISION, Hub, hub_of
from tests.llm.tiny_glm4v import ModelPair

MODEL, MMPROJ = "Tiny-Q4_K_S.gguf", "mmproj-Tiny-f16.gguf"
NAME = "glm-4.6v-flash"
DEADLINE_S = 20.0


@pytest.fixture
def hub(tiny_pair: ModelPair) -> Iterator[Hub]:
    files = {
        "README.md": b"words",
        MODEL: tiny_pair.model.read_bytes(),
        MMPROJ: tiny_pair.mmproj.read_bytes(),
    }
    with hub_of(files) as hub:
        yield hub


class Bars:
    """The progress that was told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, int, int]] = []

    def tell(self, name: str, done: int, total: int) -> None:
        self.told.append((name, done, total))


def get(hub: Hub, folder: Path, **options: str) -> None:
    pull(REPOSITORY, folder, Bars().tell, endpoint=hub.url, **options)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} if folder.exists() else set()


def test_the_pair_arrives_whole_and_is_recorded(hub: Hub, tmp_path: Path) -> None:
    folder, bars = tmp_path / "models" / NAME, Bars()
    pull(REPOSITORY, folder, bars.tell, endpoint=hub.url)
    assert names(folder) == {MODEL, MMPROJ, PULLED_FILE}
    assert (folder / MODEL).read_bytes() == hub.files[MODEL]
    pulled = load_pulled(tmp_path / "models", NAME)
    assert pulled is not None
    assert (pulled.repository, pulled.revision) == (REPOSITORY, REVISION)
    size = len(hub.files[MODEL])
    model = [(done, total) for name, done, total in bars.told if name == MODEL]
    assert model[0] == (0, size)
    assert model[-1] == (size, size)
    assert model == sorted(model)


def test_what_is_here_is_not_fetched_again(hub: Hub, tmp_path: Path) -> None:
    get(hub, tmp_path)
    (tmp_path / MMPROJ).unlink()
    get(hub, tmp_path)
    assert (len(hub.of(MODEL)), len(hub.of(MMPROJ))) == (1, 2)


def test_another_quantisation_takes_the_place_of_the_first(hub: Hub, tmp_path: Path) -> None:
    hub.files["Tiny-Q8_0.gguf"] = hub.files[MODEL]
    get(hub, tmp_path)
    get(hub, tmp_path, quant="q8_0")
    assert names(tmp_path) == {"Tiny-Q8_0.gguf", MMPROJ, PULLED_FILE}


def test_an_update_keeps_the_kinds_that_were_chosen(hub: Hub, tmp_path: Path) -> None:
    hub.files["Tiny-Q8_0.gguf"] = hub.files[MODEL]
    options = ("pull", NAME, "--repository", REPOSITORY)
    for more in (("--quant", "q8_0"), ()):
        done = command(hub, tmp_path, *options, *more)
        assert done.communicate(timeout=DEADLINE_S)
        assert done.returncode == 0
    folder = tmp_path / "models" / NAME
    assert names(folder) == {"Tiny-Q8_0.gguf", MMPROJ, PULLED_FILE}
    assert len(hub.of("Tiny-Q8_0.gguf")) == 1


def test_two_commands_do_not_write_to_one_folder(hub: Hub, tmp_path: Path) -> None:
    with alone(tmp_path / NAME), pytest.raises(ModelError, match="another command"):
        get(hub, tmp_path / NAME)
    get(hub, tmp_path / NAME)


def test_a_connection_that_breaks_is_taken_up_where_it_broke(hub: Hub, tmp_path: Path) -> None:
    hub.cut_after = 200_000
    get(hub, tmp_path)
    assert [seen.range for seen in hub.of(MODEL)] == ["", f"bytes={3 * (1 << 16)}-"]
    assert (tmp_path / MODEL).read_bytes() == hub.files[MODEL]


def test_a_server_that_knows_no_ranges_sends_all_again(hub: Hub, tmp_path: Path) -> None:
    hub.cut_after, hub.ranges = 200_000, False
    get(hub, tmp_path)
    assert (tmp_path / MODEL).read_bytes() == hub.files[MODEL]


def command(hub: Hub, data: Path, *arguments: str) -> subprocess.Popen[str]:
    environ = os.environ | {
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(data / "hf"),
        "HF_TOKEN": "hf_secret",
        "PHONEPILOT_SERVICE__DATA_DIR": str(data),
    }
    return subprocess.Popen(
        [sys.executable, "-m", "app", "-v", "models", *arguments],
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_killed_pull_is_gone_on_with_and_the_token_stays_with_the_hub(
    hub: Hub, tmp_path: Path
) -> None:
    hub.stall_after = 70_000
    options = ("--repository", REPOSITORY)
    folder = tmp_path / "models" / NAME
    first = command(hub, tmp_path, "pull", NAME, *options)
    assert hub.sent.wait(DEADLINE_S)
    deadline = time.monotonic() + DEADLINE_S
    while sum(part.stat().st_size for part in folder.glob(f"*{PART}")) < 1:
        assert time.monotonic() < deadline
        assert first.poll() is None
        time.sleep(0.01)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    assert MODEL not in names(folder)
    assert PULLED_FILE not in names(folder)
    (part,) = folder.glob(f"*{PART}")
    size = part.stat().st_size
    hub.stall_after = None

    second = command(hub, tmp_path, "pull", NAME, *options)
    said, complained = second.communicate(timeout=DEADLINE_S)
    assert second.returncode == 0, complained
    assert hub.of(MODEL)[-1].range == f"bytes={size}-"
    assert names(folder) == {MODEL, MMPROJ, PULLED_FILE}
    assert "phonepilot serve -c glm-4.6v" in said
    listing = [seen for seen in hub.requests if seen.path.startswith("/api/")]
    assert {seen.path for seen in listing} == {f"/api/models/{REPOSITORY}"}
    assert {seen.authorization for seen in listing} == {"Bearer hf_secret"}
    assert {seen.authorization for seen in hub.of(MODEL)} == {""}
    assert "hf_secret" not in said + complained

    environ = {"PHONEPILOT_SERVICE__DATA_DIR": str(tmp_path)}
    engine = load_settings((), {"engine.model": f"model:{NAME}"}, environ).engine
    assert (engine.model, engine.mmproj) == (folder / MODEL, folder / MMPROJ)


def test_a_damaged_file_is_thrown_away(hub: Hub, tmp_path: Path) -> None:
    hub.checksums[MODEL] = "0" * 64
    with pytest.raises(ModelError, match="is damaged"):
        get(hub, tmp_path)
    assert names(tmp_path) == set()


def test_a_part_of_another_version_is_not_gone_on_with(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / f"{MODEL}.{'0' * 16}{PART}").write_bytes(b"of last week")
    get(hub, tmp_path)
    assert names(tmp_path) == {MODEL, MMPROJ, PULLED_FILE}
    assert hub.of(MODEL)[0].range == ""


def test_a_full_disk_is_told_before_a_byte_is_fetched(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Usage(NamedTuple):
        total: int = 1 << 30
        used: int = 1 << 30
        free: int = 1000

    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage())
    with pytest.raises(ModelError, match="MiB free"):
        get(hub, tmp_path)
    assert hub.of(MODEL) == []


def test_a_disk_that_fills_up_leaves_the_part(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(hub_module, "http_get", full)
    with pytest.raises(ModelError, match="the disk is full"):
        get(hub, tmp_path)
    assert MODEL not in names(tmp_path)


def test_a_repository_without_a_projector(hub: Hub, tmp_path: Path) -> None:
    del hub.files[MMPROJ]
    with pytest.raises(ModelError, match="has no projector") as caught:
        get(hub, tmp_path)
    assert "models convert" in caught.value.hint


@pytest.mark.parametrize(
    ("error", "said"),
    [
        ((404, "RepoNotFound"), "no repository"),
        ((401, "RepoNotFound"), "no repository"),
        ((403, "GatedRepo"), "gated"),
        ((500, ""), "answered 500"),
    ],
)
def test_what_the_hub_refuses(hub: Hub, tmp_path: Path, error: tuple[int, str], said: str) -> None:
    hub.error = error
    with pytest.raises(ModelError, match=said):
        get(hub, tmp_path)


@pytest.mark.parametrize("body", [b"<html>Sign in</html>", b"[]", b'{"siblings": [{}]}', b"{}"])
def test_something_else_answers_for_the_hub(hub: Hub, tmp_path: Path, body: bytes) -> None:
    hub.listing = body
    with pytest.raises(ModelError):
        get(hub, tmp_path)


@pytest.mark.parametrize("error", [None, (500, "")])
@pytest.mark.parametrize("encoding", ["", "gzip"])
def test_an_answer_of_the_hub_without_end_is_left(
    hub: Hub, tmp_path: Path, error: tuple[int, str] | None, encoding: str
) -> None:
    bomb = gzip.compress(bytes(2**26)) if encoding else bytes(2**16)
    hub.endless, hub.encoding, hub.error = bomb, encoding, error
    tracemalloc.start()
    try:
        with pytest.raises(ModelError):
            get(hub, tmp_path)
        assert tracemalloc.get_traced_memory()[1] < 4 * hub_module.MAX_LISTING_BYTES
    finally:
        tracemalloc.stop()
    # What the two ends of the connection hold comes on top.
    assert hub.endless_sent < 2 * hub_module.MAX_LISTING_BYTES
    assert names(tmp_path) == set()


def test_no_network(tmp_path: Path) -> None:
    with hub_of({}) as gone:
        url = gone.url
    with pytest.raises(ModelError, match="cannot be reached") as caught:
        pull(REPOSITORY, tmp_path, Bars().tell, endpoint=url)
    assert "goes on" in caught.value.hint


@pytest.mark.parametrize(
    "path",
    [
        "../evil-Q4_K_S.gguf",
        "/etc/evil-Q4_K_S.gguf",
        "a/../../evil-Q4_K_S.gguf",
        "a\\evil-Q4_K_S.gguf",
        "..\\evil.gguf",
        "-rf.gguf",
        ".hidden.gguf",
        "evil\n.gguf",
        "C:evil.gguf",
        "a" * 300 + ".gguf",
    ],
)
def test_a_name_that_leads_out_of_the_folder_is_refused(
    hub: Hub, tmp_path: Path, path: str
) -> None:
    hub.files[path] = hub.files[MODEL]
    with pytest.raises(ModelError, match="may not be written"):
        get(hub, tmp_path / "models")
    assert names(tmp_path) == set()


@pytest.mark.parametrize("repository", ["", "nobody", "a/b/c", "../b", 'a/b"', "a/b\n", "a/../b"])
def test_what_is_no_repository_is_refused(tmp_path: Path, repository: str) -> None:
    with pytest.raises(InputError, match="is not a repository name"):
        pull(repository, tmp_path, Bars().tell)


def test_a_pair_that_does_not_fit_is_not_recorded(hub: Hub, tmp_path: Path) -> None:
    hub.files[MMPROJ] = hub.files[MODEL]
    with pytest.raises(EngineStartFailed, match="not a vision projector"):
        get(hub, tmp_path)
    assert PULLED_FILE not in names(tmp_path)


def listing(*paths: str) -> Listing:
    return Listing(REPOSITORY, REVISION, tuple(HubFile(path, 1, "0" * 64) for path in paths))


@pytest.mark.parametrize(
    ("quant", "projector", "wanted"),
    [
        (None, None, ("x-Q4_K_M.gguf", "mmproj-x-f16.gguf")),
        ("Q8_0", "q8_0", ("sub/x-Q8_0.gguf", "mmproj-x-Q8_0.gguf")),
        ("f16", "bf16", ("x-F16.gguf", "x.BF16.mmproj.gguf")),
    ],
)
def test_files_are_chosen_by_their_kind(
    quant: str | None, projector: str | None, wanted: tuple[str, str]
) -> None:
    found = listing(
        "x-F16.gguf",
        "sub/x-Q8_0.gguf",
        "x-Q4_K_M.gguf",
        "x-Q4_K_S-00001-of-00002.gguf",
        "mmproj-x-Q8_0.gguf",
        "x.BF16.mmproj.gguf",
        "mmproj-x-f16.gguf",
        "config.json",
    )
    (model,), mmproj = choose(found, quant, projector)
    assert (model.path, mmproj.path) == wanted


def test_a_kind_that_is_not_there_names_those_that_are() -> None:
    with pytest.raises(ModelError, match="Q2_K is not in") as caught:
        choose(listing("x-Q4_K_M.gguf", "x-Q8_0.gguf", "mmproj-x.gguf"), "Q2_K", None)
    assert "Q4_K_M, Q8_0" in caught.value.hint
    assert "--quant" in caught.value.hint


def test_a_model_that_lacks_a_part_is_none() -> None:
    with pytest.raises(ModelError, match="00002-of-00002.gguf is missing"):
        choose(listing("x-Q4_K_S-00001-of-00002.gguf", "mmproj-x.gguf"), None, None)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("AutoGLM-Phone-9B-Q4_K_S.gguf", "Q4_K_S"),
        ("glm-4.6v.i1-IQ4_XS.gguf", "IQ4_XS"),
        ("model-fp16.gguf", "F16"),
        ("AutoGLM-Phone-9B-mmproj.gguf", ""),
    ],
)
def test_kinds_are_read_from_names(name: str, kind: str) -> None:
    assert quantisation(name) == kind
