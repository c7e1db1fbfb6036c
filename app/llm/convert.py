"""A checkpoint of Hugging Face's transformers as GGUF files, with llama.cpp's own converter."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from app.errors import EngineStartFailed, InputError, ModelError
from app.llm.catalogue import PART, Progress, need_space
from app.llm.checkpoint import Checkpoint
from app.llm.files import check_files
from app.llm.gguf import read_header
from app.llm.image import FOLDER, Image
from app.llm.pull import quantisation
from app.llm.quantise import TYPES, Quantizer, known_type, quantise
from app.llm.tool import KILLED, Finished, run_tool

DIRECT = ("BF16", "F16")
"""What the converter writes itself; all else is quantised from BF16."""
HALF = ".half"
"""Before the ".gguf" of a file that is only made to be quantised."""
SHARES = {
    "BF16": 1.0,
    "F16": 1.0,
    "Q8_0": 0.532,
    "Q6_K": 0.440,
    "Q5_1": 0.378,
    "Q5_K_M": 0.375,
    "Q5_K_S": 0.356,
    "Q5_0": 0.349,
    "Q4_K_M": 0.328,
    "Q4_K_S": 0.306,
    "Q4_0": 0.290,
    "IQ4_XS": 0.283,
    "Q3_K_M": 0.265,
    "Q2_K": 0.213,
}
"""Of 16 bits: the shapes of AutoGLM-Phone-9B by dry runs of llama-quantize (b11434), rounded up."""
PROJECTOR_SHARES = {"F16": 1.0, "BF16": 1.0, "Q8_0": 0.547}
PROJECTORS = ("F16", "BF16", "Q8_0")
SCRIPT = "convert_hf_to_gguf.py"
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,150}\.gguf")
_WRITING = re.compile(r"Writing:\s+(\d+)%")
_OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
"""All that is needed lies in the checkpoint. Its tokenizer may name code elsewhere; with these it
is not fetched."""
_EDGE = "GlmForCausalLM"
_EDGE_EYES = (
    "Pull the ready files: phonepilot models pull glm-edge-v-2b (or -5b). The text part alone "
    "comes with --mmproj none; for the eyes llama.cpp has scripts to be run by hand, described in "
    "its docs/multimodal/glmedge.md."
)
# The converter knows a tokenizer by a hash of how it cuts a text, which depends on its vocabulary.
_NAMED_PRE_TOKENIZER = """
import runpy, sys
folder, name, script = sys.argv[1:4]
sys.path.insert(0, folder)
from conversion.base import TextModel
TextModel.get_vocab_base_pre = lambda self, tokenizer: name
sys.argv = sys.argv[3:]
runpy.run_path(script, run_name="__main__")
"""


@dataclass(frozen=True)
class Converter:
    """llama.cpp's checkout and a Python with torch and transformers to run its script.

    `pre_tokenizer` replaces the converter's guess, for tokenizers that it does not know.
    """

    llama_cpp: Path
    python: str
    pre_tokenizer: str = ""
    image: Image | None = None

    def command(self, arguments: Sequence[str], folders: Sequence[Path]) -> list[str]:
        """`folders` are those of the arguments."""
        own = self._own(arguments)
        return self.image.command(own, folders, _OFFLINE) if self.image else own

    def _own(self, arguments: Sequence[str]) -> list[str]:
        script = str(self.llama_cpp / SCRIPT)
        if not self.pre_tokenizer:
            return [self.python, script, *arguments]
        own = ["-c", _NAMED_PRE_TOKENIZER, str(self.llama_cpp), self.pre_tokenizer]
        return [self.python, *own, script, *arguments]


def find_converter(
    llama_cpp: Path | None, python: str, pre_tokenizer: str = "", image: Image | None = None
) -> Converter:
    """Raises ModelError for a folder that is no checkout of llama.cpp."""
    if image is not None:
        return Converter(FOLDER, "python3", pre_tokenizer, image)
    if llama_cpp is None:
        raise ModelError(
            "converting needs a checkout of llama.cpp",
            "git clone https://github.com/ggml-org/llama.cpp, and give its folder with "
            "--llama-cpp-path or LLAMA_CPP_PATH; or have Docker and give --llama-cpp-image.",
        )
    if not (llama_cpp / SCRIPT).is_file():
        raise ModelError(
            f"{llama_cpp} is not a checkout of llama.cpp: {SCRIPT} is not there",
            "Give the folder of the sources; a folder of built programs does not hold it.",
        )
    return Converter(llama_cpp.resolve(), python, pre_tokenizer)


@dataclass(frozen=True)
class Foreseen:
    """What a conversion will write, in bytes, before anything is converted: about, for quantised
    files. `half` is what lies beside them until the end."""

    model: int
    projector: int
    half: int

    @property
    def total(self) -> int:
        return self.model + self.projector + self.half


def foresee(checkpoint: Checkpoint, kind: str, projector: str) -> Foreseen:
    """Raises InputError for what is no quantisation."""
    kind, projector = known_type(kind, (*TYPES, *DIRECT)), known_type(projector, PROJECTORS)
    text, vision = checkpoint.size - checkpoint.vision, checkpoint.vision
    return Foreseen(
        model=int(text * SHARES[kind]),
        projector=int(vision * PROJECTOR_SHARES[projector]),
        half=0 if kind in DIRECT else text,
    )


def convert(
    converter: Converter,
    quantizer: Quantizer | None,
    checkpoint: Checkpoint,
    target: Path,
    kind: str,
    projector: str,
    on_progress: Progress,
    *,
    keep: bool = False,
) -> tuple[Path, Path | None]:
    """Write `target` in `kind` and the projector beside it; both paths, None for a blind model.

    The BF16 file between is kept until the end, so that a run that broke off goes on with it, and
    afterwards with `keep`. Raises InputError, ModelError, and EngineStartFailed for a pair that no
    engine could work with.
    """
    kind, projector = known_type(kind, (*TYPES, *DIRECT)), known_type(projector, PROJECTORS)
    if not _FILE_NAME.fullmatch(target.name):
        raise InputError(
            f"{target.name!r} is not a valid name for a GGUF file", "Name it MODEL.gguf."
        )
    if (said := quantisation(target.name)) not in ("", kind):
        raise InputError(f"{target.name} says {said} and would be {kind}", "Give --quantize.")
    target.parent.mkdir(parents=True, exist_ok=True)
    bare = re.sub(rf"[-_.]?{kind}$", "", target.stem, flags=re.IGNORECASE) or "model"
    mmproj = target.with_name(f"mmproj-{bare}-{projector.lower()}.gguf")
    run = _Run(converter, quantizer, checkpoint, on_progress, keep)
    run.need_disk(target, kind, projector, target.with_name(f"{bare}-BF16.gguf"))
    if checkpoint.sees:
        # First, because it is small: what cannot be converted is told before the long part.
        half = target.with_name(f"mmproj-{bare}-f16.gguf")
        run.write(mmproj, projector, half, ["--mmproj"])
    run.write(target, kind, target.with_name(f"{bare}-BF16.gguf"), [])
    check_files(target, mmproj if checkpoint.sees else None)
    return target, mmproj if checkpoint.sees else None


@dataclass(frozen=True)
class _Run:
    converter: Converter
    quantizer: Quantizer | None
    checkpoint: Checkpoint
    on_progress: Progress
    keep: bool

    def need_disk(self, target: Path, kind: str, projector: str, whole: Path) -> None:
        """Raises ModelError when the disk has no room for all that is still to come."""
        coming = foresee(self.checkpoint, kind, projector)
        halves = (whole, whole.with_suffix(f"{HALF}.gguf"))
        half = 0 if any(map(self._is_made, halves)) else coming.half
        need_space(target.parent, coming.model + coming.projector + half, target.name)

    def write(self, target: Path, kind: str, whole: Path, options: Sequence[str]) -> None:
        """Write `target` in `kind`; `whole` is its name at 16 bits."""
        if kind in DIRECT:
            self._convert(target, [*options, "--outtype", kind.lower()])
            return
        assert self.quantizer is not None
        outtype = "f16" if options else "bf16"
        with self._half(whole, [*options, "--outtype", outtype]) as half:
            quantise(self.quantizer, half, target, kind, self.on_progress)

    @contextmanager
    def _half(self, whole: Path, options: Sequence[str]) -> Iterator[Path]:
        """A file to quantise from: `whole` where an earlier run has left it as its result, else
        one of our own, which goes when the block has succeeded, or becomes `whole` with `keep`."""
        if self._is_made(whole):
            yield whole
            return
        half = whole.with_suffix(f"{HALF}.gguf")
        self._convert(half, options)
        yield half
        if self.keep:
            half.replace(whole)
        else:
            half.unlink()

    def _convert(self, target: Path, options: Sequence[str]) -> None:
        """Run the converter, unless an earlier run has written the file after the checkpoint."""
        if self._is_made(target):
            return
        size = self.checkpoint.size
        need_space(target.parent, 0 if "--mmproj" in options else size, target.name)
        part = target.resolve().with_name(target.name + PART)

        def line(text: str) -> None:
            if percent := _WRITING.search(text):
                done = size * int(percent[1]) // 100
                self.on_progress(f"converting {target.name}", done, size)

        arguments = [str(self.checkpoint.folder), *options, "--outfile", str(part)]
        try:
            # In the hub's cache a checkpoint is a folder of links to files that lie elsewhere.
            files = [path.resolve().parent for path in self.checkpoint.folder.iterdir()]
            folders = [self.checkpoint.folder, *files, part.parent]
            done = run_tool(self.converter.command(arguments, folders), line, _OFFLINE)
            if done.code:
                raise _failure(done, self.checkpoint)
            try:
                read_header(part)
            except EngineStartFailed as exc:
                raise _failure(done, self.checkpoint) from exc
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)

    def _is_made(self, target: Path) -> bool:
        """Files get their names when they are whole, so what is left to see is whether this one
        was made of the checkpoint as it is now, with this tokenizer, and has not been cut since."""
        if not target.is_file():
            return False
        made = target.stat()
        if any(path.stat().st_mtime > made.st_mtime for path in self.checkpoint.folder.iterdir()):
            return False
        try:
            header = read_header(target)
        except EngineStartFailed:
            return False
        pre, asked = header.metadata.get("tokenizer.ggml.pre"), self.converter.pre_tokenizer
        if asked and pre not in (None, asked):
            return False
        return made.st_size > sum(tensor.nbytes for tensor in header.tensors)


def _failure(done: Finished, checkpoint: Checkpoint) -> ModelError:
    """What the converter's last words mean; each pattern is what llama.cpp b11434 prints."""
    newer = "A newer llama.cpp may know it: git pull in its folder."
    text, module = done.text, re.search(r"No module named '([\w.]+)'", done.text)
    if module:
        what = f"the converter's Python lacks the package {module[1]}"
        hint = (
            "Give one that has torch, transformers, sentencepiece and protobuf with --python; "
            "llama.cpp lists them in requirements/requirements-convert_hf_to_gguf.txt."
        )
    elif "BPE pre-tokenizer was not recognized" in text:
        what = "the converter does not know this tokenizer"
        hint = f"{newer} Where it cuts text as a known one does: --pre-tokenizer glm4."
    elif re.search(r"Model \S+ is not supported|Architecture \S+ not supported", text):
        what, hint = f"llama.cpp cannot convert {checkpoint.architecture or 'this model'}", newer
        if checkpoint.architecture == _EDGE and checkpoint.sees:
            what, hint = "llama.cpp's converter does not know the eyes of GLM-Edge-V", _EDGE_EYES
    elif done.code == 2 and "error: " in text:
        what = f"the converter does not understand us: {done.last}"
        hint = "It is too old or too new; checkouts of late 2026 are known to work."
    elif "No space left on device" in text:
        what, hint = "the disk is full", "Make room and give the command again."
    elif done.code == KILLED or "MemoryError" in text:
        what = "the converter ran out of memory"
        hint = "Close other programs, or add swap; it needs as much as the largest tensors."
    elif done.code in (126, 127):
        what, hint = "the converter's Python cannot be run", "Give another one with --python."
    else:
        what, hint = f"the converter ended with {done.code}: {done.last}", "Its last lines tell."
    return ModelError(what, hint, log_tail=done.tail)
