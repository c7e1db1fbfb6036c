"""Reading the header of a GGUF file, as it should be and as somebody may have made it."""

from __future__ import annotations

import os
import struct
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import gguf
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.errors import EngineStartFailed
from app.llm import gguf as gguf_module
from app.llm.describe import describe
from app.llm.gguf import Array, read_header
from app.llm.memory import shapes_of
from app.llm.tensor_types import BY_NAME, TENSOR_TYPES
from tests.llm.gguf_bytes import ALIGNMENT, TextOrNumbers, header, padded, tensor, text
from tests.llm.tiny_glm4v import ModelPair

REASONS = {"file_truncated", "gguf_version", "big_endian", "header_too_large", "header_invalid"}
WIDE = struct.pack("<Q", 1 << 62)
MODEL: dict[str, TextOrNumbers] = {
    "general.architecture": "glm4",
    "glm4.block_count": 1,
    "glm4.attention.head_count": 2,
    "glm4.embedding_length": 64,
}


def reason_of(data: bytes, path: Path) -> str:
    """The reason why a file with these bytes is refused."""
    path.write_bytes(data)
    with pytest.raises(EngineStartFailed) as caught:
        read_header(path)
    assert caught.value.hint
    assert caught.value.message.isprintable()
    return caught.value.reason


def test_the_sizes_of_types_are_those_of_llama_cpp() -> None:
    theirs = {int(kind): (kind.name, *size) for kind, size in gguf.GGML_QUANT_SIZES.items()}
    # Its fields s and d became halves; the package counts them as floats. No file has this type.
    assert theirs.pop(9)[:2] == BY_NAME["Q8_1"][:2]
    assert theirs == {number: tuple(TENSOR_TYPES[number]) for number in theirs}


def test_a_file_of_the_gguf_package_is_read_whole(tiny_pair: ModelPair) -> None:
    found, theirs = read_header(tiny_pair.model), gguf.GGUFReader(tiny_pair.model)
    assert [(t.name, t.count, t.nbytes) for t in found.tensors] == [
        (t.name, int(t.n_elements), int(t.n_bytes)) for t in theirs.tensors
    ]
    assert found.architecture == "glm4"
    assert found.metadata["glm4.rope.dimension_sections"] == Array(4, (2, 3, 3, 0))
    vocabulary = found.metadata["tokenizer.ggml.tokens"]
    assert isinstance(vocabulary, Array)
    assert vocabulary.length == 265
    assert found.unknown_types == ()


def test_a_type_that_is_not_known_is_counted_by_its_room_in_the_file(tmp_path: Path) -> None:
    infos = [
        tensor("token_embd.weight", [8], 0, 0),
        tensor("blk.0.new.weight", [64, 4], 99, ALIGNMENT),
        tensor("output.weight", [8], 0, 5 * ALIGNMENT),
        tensor("blk.0.newer.weight", [64], 100, 6 * ALIGNMENT),
    ]
    path = tmp_path / "newer.gguf"
    path.write_bytes(padded(header(MODEL, infos)) + bytes(8 * ALIGNMENT))
    found = read_header(path)
    assert [(t.kind, t.nbytes, t.exact) for t in found.tensors] == [
        ("F32", 32, True),
        ("type 99", 128, False),
        ("F32", 32, True),
        ("type 100", 64, False),
    ]
    facts = describe(path)
    assert facts["unknown_types"] == ["type 100", "type 99"]
    shapes = shapes_of(found, None)
    assert shapes.unknown == ("type 100", "type 99")
    assert shapes.weights + shapes.host_weights == 256


HOSTILE: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "file_truncated"),
    "another format": (b"PK\3\4" + bytes(100), "not_gguf"),
    "no counts": (b"GGUF" + struct.pack("<I", 3), "file_truncated"),
    "version 1": (header(version=1), "gguf_version"),
    "version 4": (header(version=4), "gguf_version"),
    "big-endian": (b"GGUF" + struct.pack(">IQQ", 3, 0, 0), "big_endian"),
    "too many values": (header(counts=(0, 1 << 63)), "header_invalid"),
    "too many tensors": (header(counts=(1 << 63, 0)), "header_invalid"),
    "more values than there are": (header(counts=(0, 1000)), "file_truncated"),
    "more tensors than there are": (header(counts=(1000, 0)), "file_truncated"),
    "a long key": (header(counts=(0, 1)) + WIDE, "header_invalid"),
    "an empty key": (header({"": 1}), "header_invalid"),
    "a key twice": (header(counts=(0, 2)) + (text("a") + struct.pack("<II", 4, 1)) * 2,
                    "header_invalid"),
    "a long text": (header(counts=(0, 1)) + text("a") + struct.pack("<I", 8) + WIDE,
                    "file_truncated"),
    "an unknown type of value": (header(counts=(0, 1)) + text("a") + struct.pack("<II", 13, 1),
                                 "header_invalid"),
    "a long array of numbers": (header(counts=(0, 1)) + text("a") + struct.pack("<II", 9, 10)
                                + WIDE, "file_truncated"),
    "a long array of texts": (header(counts=(0, 1)) + text("a") + struct.pack("<II", 9, 8)
                              + WIDE + bytes(200_000), "file_truncated"),
    "an array of arrays": (header(counts=(0, 1)) + text("a") + struct.pack("<IIQ", 9, 9, 1)
                           + struct.pack("<IIQ", 9, 9, 1) * 1000, "header_invalid"),
    "alignment 0": (header({"general.alignment": 0}), "header_invalid"),
    "alignment 24": (header({"general.alignment": 24}), "header_invalid"),
    "alignment as text": (header({"general.alignment": "32"}), "header_invalid"),
    "a wide alignment": (header({"general.alignment": 1 << 31}, [tensor("a", [8], 0, 0)]),
                         "file_truncated"),
    "five dimensions": (header(tensors=[tensor("a", [1] * 5, 0, 0)]), "header_invalid"),
    "a negative dimension": (header(tensors=[tensor("a", [(1 << 64) - 32], 2, 0)]),
                             "header_invalid"),
    "too many values in all": (header(tensors=[tensor("a", [1 << 40, 1 << 40], 0, 0)]),
                               "header_invalid"),
    "half a block": (header(tensors=[tensor("a", [33], 2, 0)]) + bytes(200), "header_invalid"),
    "an offset after the end": (header(tensors=[tensor("a", [8], 0, 1 << 62)]), "file_truncated"),
    "an offset of an unknown type": (header(tensors=[tensor("a", [8], 99, 1 << 62)]),
                                     "file_truncated"),
    "an offset that is not aligned": (header(tensors=[tensor("a", [8], 0, 7)]) + bytes(200),
                                      "header_invalid"),
    "data that is cut": (padded(header(tensors=[tensor("a", [8], 0, 0)])) + bytes(31),
                         "file_truncated"),
    "a tensor twice": (padded(header(tensors=[tensor("a", [8], 0, 0)] * 2)) + bytes(64),
                       "header_invalid"),
    "a long name": (header(tensors=[tensor("a" * 64, [8], 0, 0)]) + bytes(64), "header_invalid"),
    "a name to trick a terminal": (header(tensors=[tensor("\x1b[2J\u202e", [1] * 5, 0, 0)]),
                                   "header_invalid"),
}  # fmt: skip


@pytest.mark.parametrize(("data", "reason"), HOSTILE.values(), ids=HOSTILE)
def test_a_header_that_no_program_writes_is_refused_at_once(
    data: bytes, reason: str, tmp_path: Path
) -> None:
    begun = time.process_time()
    assert reason_of(data, tmp_path / "hostile.gguf") == reason
    assert time.process_time() - begun < 0.5


def sparse(path: Path, head: bytes, size: int) -> None:
    path.write_bytes(head)
    os.truncate(path, size)


@pytest.mark.parametrize(
    "head",
    [
        # Read as text lengths, the zeros of the hole are as many empty texts.
        header(counts=(0, 1)) + text("a") + struct.pack("<IIQ", 9, 8, 1 << 40),
        header(counts=(0, 1)) + text("a") + struct.pack("<IIQ", 9, 10, 1 << 34),
        header(counts=(0, 1)) + text("a") + struct.pack("<IQ", 8, 1 << 34),
    ],
    ids=["texts", "numbers", "text"],
)
def test_a_header_of_gigabytes_is_left_after_64_mib(head: bytes, tmp_path: Path) -> None:
    path = tmp_path / "endless.gguf"
    sparse(path, head, 1 << 38)
    tracemalloc.start()
    try:
        with pytest.raises(EngineStartFailed) as caught:
            read_header(path)
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()
    assert caught.value.reason == "header_too_large"


def test_a_long_text_is_cut_and_many_of_them_are_refused(tmp_path: Path) -> None:
    long = "x" * (gguf_module.MAX_TEXT + 1)
    path = tmp_path / "texts.gguf"
    path.write_bytes(header({"a": long, "b": "behind it"}))
    kept = read_header(path).metadata
    assert (len(str(kept["a"])), kept["b"]) == (gguf_module.MAX_TEXT, "behind it")
    count = gguf_module.MAX_KEPT // gguf_module.MAX_TEXT + 1
    many = header({f"key {number}": long for number in range(count)})
    assert reason_of(many, path) == "header_too_large"


def test_what_is_not_a_file_is_not_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.gguf"
    os.mkfifo(pipe)
    for path in (pipe, tmp_path):
        with pytest.raises(EngineStartFailed) as caught:
            read_header(path)
        assert caught.value.reason == "not_gguf"


def test_a_header_is_read_again_only_when_the_file_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[Path] = []
    real: Callable[..., object] = Path.open

    def counting(path: Path, *args: object, **options: object) -> object:
        opened.append(path)
        return real(path, *args, **options)

    path = tmp_path / "kept.gguf"
    path.write_bytes(header({"general.architecture": "one"}))
    monkeypatch.setattr(Path, "open", counting)
    assert [read_header(path).architecture for _ in range(3)] == ["one"] * 3
    assert opened == [path]
    (tmp_path / "new.gguf").write_bytes(header({"general.architecture": "two"}))
    (tmp_path / "new.gguf").replace(path)
    opened.clear()
    assert [read_header(path).architecture for _ in range(2)] == ["two"] * 2
    assert opened == [path]


SMALL = padded(
    header(
        MODEL | {"tokenizer.ggml.tokens": ["a", "b", "c"], "flag": True, "sections": [1, 2, 3]},
        [tensor("token_embd.weight", [32, 2], 8, 0), tensor("new", [32], 99, 96)],
    )
) + bytes(160)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    changes=st.lists(
        st.tuples(
            st.integers(0, len(SMALL) - 1),
            st.sampled_from([0, 1, 4]) | st.integers(0, 12),
            st.binary(min_size=1, max_size=8) | st.sampled_from([b"\xff" * 8, WIDE, bytes(8)]),
        ),
        max_size=4,
    ),
    cut=st.none() | st.integers(0, len(SMALL)),
)
def test_a_damaged_file_is_read_or_refused_in_bounded_time_and_memory(
    tmp_path_factory: pytest.TempPathFactory,
    changes: list[tuple[int, int, bytes]],
    cut: int | None,
) -> None:
    data = SMALL
    for at, removed, put in changes:
        data = data[:at] + put + data[at + removed :]
    path = tmp_path_factory.getbasetemp() / "damaged.gguf"
    path.write_bytes(data[:cut])
    gguf_module._read.cache_clear()  # the file may have the size and time of the one before
    tracemalloc.start()
    begun = time.process_time()
    try:
        found = read_header(path)
    except EngineStartFailed as exc:
        assert exc.reason in REASONS | {"not_gguf"}
        assert exc.hint
        assert exc.message.isprintable()
    else:
        assert all(0 <= t.nbytes <= len(data) for t in found.tensors)
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert time.process_time() - begun < 1.0
    assert peak < 2 << 20
