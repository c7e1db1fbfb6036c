"""Log lines as llama.cpp b11434 wrote them, and what is told of them."""

from __future__ import annotations

import pytest

from app.llm.failure import diagnose
from app.llm.log import LONGEST_LINE, LogRing

GENERIC = "0.00.006.980 E srv  llama_server: exiting due to model loading error"


@pytest.mark.parametrize(
    ("line", "message", "hint"),
    [
        (
            "0.00.008.404 E gguf_init_from_file: failed to open GGUF file 'nope.gguf' (No such"
            " file or directory)",
            "failed to open GGUF file 'nope.gguf'",
            "engine.model",
        ),
        (
            "0.00.006.317 E llama_model_load: error loading model: tensor 'output.weight' data is"
            " not within the file bounds, model is corrupted or incomplete",
            "not within the file bounds",
            "truncated",
        ),
        (
            "0.00.005.927 E gguf_init_from_reader: invalid magic characters: 'garb', expected"
            " 'GGUF'",
            "invalid magic characters",
            "not a GGUF file",
        ),
        (
            "0.00.005.344 E llama_model_load: error loading model: CLIP cannot be used as main"
            " model, use it with --mmproj instead",
            "CLIP cannot be used",
            "swap",
        ),
        (
            "0.00.016.591 E srv    load_model: failed to load multimodal model, 'tiny.gguf'",
            "failed to load multimodal model",
            "engine.mmproj",
        ),
        (
            "0.00.003.121 E srv         start: couldn't bind HTTP server socket, hostname:"
            " 1.2.3.4, port: 22",
            "couldn't bind HTTP server socket",
            "engine.port = 0",
        ),
        ("error: invalid argument: --foo", "invalid argument: --foo", "extra_args"),
        ('error while handling argument "--port": stoi', '"--port"', "extra_args"),
        (
            "0.00.010.000 E llama_model_load: error loading model: error loading model"
            " architecture: unknown model architecture: 'zzz4'",
            "unknown model architecture: 'zzz4'",
            "newer llama-server",
        ),
        (
            "ggml_backend_cuda_buffer_type_alloc_buffer: allocating 5150.00 MiB on device 0:"
            " cudaMalloc failed: out of memory",
            "cudaMalloc failed: out of memory",
            "rtx-4060-8gb.toml",
        ),
        (
            "0.00.005.811 E gguf_init_from_reader: this GGUF file is version 4 but this software"
            " only supports up to version 3",
            "is version 4",
            "newer llama-server",
        ),
        (
            "0.00.003.159 E gguf_init_from_reader: GGUFv1 is no longer supported, please use a more"
            " up-to-date version",
            "GGUFv1",
            "old GGUF version",
        ),
        (
            "0.00.085.909 E clip_init: failed to load model 'p.gguf': load_tensors: failed to seek"
            " for tensor v.patch_embd.bias",
            "failed to seek for tensor",
            "truncated",
        ),
        (
            "0.00.263.169 E ggml_aligned_malloc: insufficient memory (attempted to allocate 7812.50"
            " MB)",
            "insufficient memory",
            "main memory",
        ),
        (
            "0.00.263.206 E ggml_backend_buft_alloc_buffer_n_default: failed to allocate CPU buffer"
            " of size 8192000000",
            "CPU buffer",
            "main memory",
        ),
        ("terminate called after throwing an instance of 'std::bad_alloc'", "bad_alloc", "main"),
        (
            "0.00.263.206 E alloc_tensor_range: failed to allocate CUDA0 buffer of size 8192000000",
            "CUDA0 buffer",
            "GPU memory",
        ),
        (
            "ggml_vulkan: Requested buffer size exceeds device buffer size limit:"
            " ErrorOutOfDeviceMemory",
            "ErrorOutOfDeviceMemory",
            "GPU memory",
        ),
        (
            "0.00.119.955 E ggml_backend_buft_alloc_buffer_n_default: failed to allocate Vulkan0"
            " buffer of size 805306368",
            "Vulkan0 buffer",
            "GPU memory",
        ),
        (
            "/src/ggml/src/ggml-backend.cpp:1081: pre-allocated tensor (cache_k_l0) in a buffer"
            " (Vulkan0) that cannot run the operation (NONE)",
            "cannot run the operation",
            "engine.context",
        ),
        (
            "/src/models/glm4.cpp:70: This GGUF does not support multimodal. Please reconvert it.",
            "does not support multimodal",
            "convert it again",
        ),
    ],
)
def test_the_telling_line_is_found(line: str, message: str, hint: str) -> None:
    failure = diagnose(["0.00.001.000 I srv  init: initializing ...", line, GENERIC], 1)
    assert message in failure.message
    assert hint in failure.hint
    assert not failure.message.startswith("0.")


def test_an_unknown_error_is_still_the_first_one() -> None:
    lines = ["0.00.001.000 W srv  x: odd", "0.00.002.000 E abc  x: new trouble", GENERIC]
    assert diagnose(lines, 1).message == "abc  x: new trouble"


def test_without_errors_the_last_line_is_all_there_is() -> None:
    assert diagnose(["one", "two", ""], 1).message == "two"


def test_a_kill_from_outside() -> None:
    failure = diagnose(["0.00.001.000 I srv  init: ok"], 137)
    assert failure.message == "the engine was killed"
    assert "memory" in failure.hint


def test_silence() -> None:
    assert diagnose([], 2).message == "the engine ended with exit code 2"


def test_the_ring_joins_chunks_and_forgets_the_oldest() -> None:
    ring = LogRing(kept=2)
    assert ring.split(b"on") == []
    assert ring.split(b"e\r\ntwo\nthr") == ["one", "two"]
    assert ring.split("ée\n".encode()[:1]) == []
    assert ring.split("ée\n".encode()[1:]) == ["thrée"]
    for line in ("one", "two", "thrée"):
        ring.add(line)
    assert ring.lines() == ("two", "thrée")
    assert ring.lines(1) == ("thrée",)
    assert ring.lines(0) == ()
    ring.split(b"rest")
    assert ring.rest() == ["rest"]
    assert ring.rest() == []


def test_a_line_without_end_is_cut() -> None:
    ring = LogRing()
    assert [len(line) for line in ring.split(b"x" * (LONGEST_LINE * 3))] == [LONGEST_LINE]
    assert ring.split(b"x" * (LONGEST_LINE * 3)) == []  # the rest of the same line
    assert ring.split(b"end\nnext\n") == ["next"]


def test_notes_of_the_supervisor_are_not_lines_of_the_engine() -> None:
    ring = LogRing()
    ring.note("out of memory before; started with image_max_tokens = 1024")
    ring.add("loading")
    assert ring.engine_lines() == ("loading",)
    assert ring.lines()[0].startswith("phonepilot: ")


def test_a_killed_engine_did_not_run_out_of_gpu_memory() -> None:
    lines = ["0.00.002.000 E ggml_cuda: cudaMalloc failed: out of memory"]
    assert diagnose(lines, 137).reason == "killed"
