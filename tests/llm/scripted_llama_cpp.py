"""A folder that looks like a checkout of llama.cpp with its programs built, for faults that the
real ones cannot be made to show, and for tests without torch.

The converter takes the arguments of the real one and copies `text.bin` or `vision.bin` out of the
checkpoint; `llama-quantize` copies its input. A file `fault` in the checkpoint, or beside the
quantiser, says what goes wrong. Each appends its arguments to the file `calls`.
"""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.llm.tiny_glm4v import ModelPair

CONVERTER = """
import argparse, os, sys, time
from pathlib import Path

here = Path(__file__).parent
with (here / "calls").open("a") as calls:
    calls.write(" ".join(["convert", *sys.argv[1:]]) + "\\n")
parser = argparse.ArgumentParser()
parser.add_argument("model")
parser.add_argument("--outfile", type=Path)
choices = ["f32", "f16", "bf16", "q8_0", "tq1_0", "tq2_0", "auto"]
parser.add_argument("--outtype", choices=choices)
parser.add_argument("--mmproj", action="store_true")
arguments = parser.parse_args()
folder = Path(arguments.model)
fault = (folder / "fault").read_text() if (folder / "fault").exists() else ""
assert os.environ["HF_HUB_OFFLINE"] == os.environ["TRANSFORMERS_OFFLINE"] == "1"
if fault == "import":
    import torch_is_not_here
if fault == "architecture":
    print("ERROR:hf-to-gguf:Model OddForCausalLM is not supported", file=sys.stderr)
    sys.exit(1)
if fault == "arguments":
    parser.error("unrecognized arguments: --mmproj")
if fault == "disk":
    raise OSError(28, "No space left on device")
if fault == "memory":
    os.kill(os.getpid(), 9)
if fault == "odd":
    print("ERROR: the moon is full \\x1b[2J")
    sys.exit(3)
sys.path.insert(0, str(here))
from conversion.base import TextModel
if not arguments.mmproj:
    (here / "pre").write_text(TextModel().get_vocab_base_pre(fault))
data = (folder / ("vision.bin" if arguments.mmproj else "text.bin")).read_bytes()
for percent in (0, 50, 100):
    print(f"\\rWriting: {percent:3d}%|   | 1.2G/2.4G", end="", file=sys.stderr, flush=True)
with arguments.outfile.open("wb") as out:
    out.write(data[:1000])
    out.flush()
    if fault == "hang":
        (here / "pid").write_text(str(os.getpid()))
        time.sleep(600)
    if fault != "short":
        out.write(data[1000:])
print("INFO:hf-to-gguf:Model successfully exported")
"""
BASE = """
class TextModel:
    def get_vocab_base_pre(self, tokenizer):
        if tokenizer == "tokenizer":
            raise NotImplementedError(
                "BPE pre-tokenizer was not recognized - update get_vocab_base_pre()"
            )
        return "known"
"""
QUANTIZER = """
import shutil, sys
from pathlib import Path

here = Path(__file__).parents[2]
with (here / "calls").open("a") as calls:
    calls.write(" ".join(["quantize", *sys.argv[1:]]) + "\\n")
fault = (here / "fault").read_text() if (here / "fault").exists() else ""
dry = sys.argv[1] == "--dry-run"
source, *rest = sys.argv[2 if dry else 1:]
if fault == "type":
    print(f"llama_quantize: invalid ftype '{rest[-1]}'")
    sys.exit(1)
if fault == "requantize":
    print("llama_model_quantize: failed to quantize: requantizing from type q4_K is disabled")
    sys.exit(1)
for step in (1, 2):
    print(f"[{step:4d}/   2] blk.0.attn_k.weight - [64, 32, 1, 1], type = bf16, size = 1 MiB")
if fault == "late" and not dry:
    print("llama_model_quantize: failed to write")
    sys.exit(1)
if not dry:
    shutil.copy(source, rest[0])
print("llama_model_quantize_impl: quant size  =     1.50 MiB (4.50 BPW)")
"""


@dataclass(frozen=True)
class Scripted:
    """The folder, and a checkpoint to convert."""

    folder: Path
    checkpoint: Path

    def calls(self) -> list[str]:
        path = self.folder / "calls"
        return path.read_text(encoding="utf-8").splitlines() if path.exists() else []

    def fail(self, converting: str = "", quantising: str = "") -> None:
        (self.checkpoint / "fault").write_text(converting, encoding="utf-8")
        (self.folder / "fault").write_text(quantising, encoding="utf-8")


def write_scripted(folder: Path, pair: ModelPair) -> Scripted:
    """Both below `folder`."""
    llama_cpp, checkpoint = folder / "llama.cpp", folder / "Tiny-4V"
    programs = llama_cpp / "build" / "bin"
    programs.mkdir(parents=True)
    (llama_cpp / "conversion").mkdir()
    (llama_cpp / "conversion" / "base.py").write_text(BASE, encoding="utf-8")
    (llama_cpp / "convert_hf_to_gguf.py").write_text(CONVERTER, encoding="utf-8")
    quantizer = programs / "llama-quantize"
    quantizer.write_text(f"#!{sys.executable}\n{QUANTIZER}", encoding="utf-8")
    quantizer.chmod(0o755)
    checkpoint.mkdir()
    config = {"architectures": ["Glm4vForConditionalGeneration"], "vision_config": {}}
    (checkpoint / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (checkpoint / "model.safetensors").write_bytes(b"\0" * 1000)
    shutil.copy(pair.model, checkpoint / "text.bin")
    shutil.copy(pair.mmproj, checkpoint / "vision.bin")
    return Scripted(llama_cpp, checkpoint)
