"""The trained checkpoint to a GGUF pair, with llama.cpp's own converter and quantiser.

`python -m training.convert --llama-cpp DIR --quantize PATH/llama-quantize` reads training/out/hf
and writes app/demo/demo-q4_k_s.gguf and app/demo/demo-mmproj-f16.gguf.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

# The converter knows tokenizers by a hash of how they cut a test text, which depends on the
# vocabulary. Ours cuts text as GLM-4's does (training/tokenizer.py) but is not in its table.
FORCED_PRE_TOKENIZER = """
import runpy, sys
sys.path.insert(0, sys.argv[1])
from conversion.base import TextModel
TextModel.get_vocab_base_pre = lambda self, tokenizer: "glm4"
script = sys.argv[1] + "/convert_hf_to_gguf.py"
sys.argv = [script, *sys.argv[2:]]
runpy.run_path(script, run_name="__main__")
"""


def convert(llama_cpp: Path, arguments: list[str]) -> None:
    command = [sys.executable, "-c", FORCED_PRE_TOKENIZER, str(llama_cpp), *arguments]
    subprocess.run(command, check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hf", type=Path, default=Path("training/out/hf"))
    parser.add_argument("--out", type=Path, default=Path("app/demo"))
    parser.add_argument("--llama-cpp", type=Path, required=True, help="llama.cpp's source tree")
    parser.add_argument("--quantize", type=Path, required=True, help="the llama-quantize binary")
    parser.add_argument("--type", default="Q4_K_S", help="quantisation of the text part")
    arguments = parser.parse_args()
    out: Path = arguments.out
    text = out / f"demo-{arguments.type.lower()}.gguf"
    projector = out / "demo-mmproj-f16.gguf"
    with tempfile.TemporaryDirectory() as folder:
        full = Path(folder) / "demo-f16.gguf"
        hf = str(arguments.hf)
        convert(arguments.llama_cpp, [hf, "--outtype", "f16", "--outfile", str(full)])
        convert(
            arguments.llama_cpp,
            [hf, "--mmproj", "--outtype", "f16", "--outfile", str(projector)],
        )
        subprocess.run([arguments.quantize, full, text, arguments.type], check=True)
    for path in (text, projector):
        print(f"{path}: {path.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
