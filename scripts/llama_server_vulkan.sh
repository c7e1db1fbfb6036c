#!/bin/sh
# Builds llama-server for Vulkan beside the one for the CPU, once, and prints its path; with --cached
# only if it is built already. Everybody has a device for it: Debian's mesa-vulkan-drivers computes
# on the CPU (llvmpipe).
#
# Where this cannot be, it says so and prints nothing: then those tests are skipped.
set -eu
cd "$(dirname "$0")/.."
PACKAGES="cmake g++ make glslc libvulkan-dev spirv-headers mesa-vulkan-drivers"
HEADERS=${XDG_CACHE_HOME:-$HOME/.cache}/phonepilot-tests/vulkan-headers
# llama.cpp b11434 names this; Debian 12's headers, 1.3.239, do not know it yet.
NEEDED=LayerSettingsCreateInfoEXT
NEWER=trixie

skip() {
    echo "============================================================================" >&2
    echo "NO TESTS ON A VULKAN DEVICE: $1" >&2
    echo "============================================================================" >&2
    exit 0
}

# Vulkan's headers of the next Debian, from the mirror that is configured here. They are only
# unpacked: the libraries, the compilers and the driver stay those of this Debian.
fetch_headers() {
    mirror=$(apt-get indextargets --format '$(REPO_URI)' \
        'Created-By: Packages' 'Origin: Debian' 'Label: Debian' | head -n 1)
    [ -n "$mirror" ] || return 1
    rm -rf "$HEADERS"
    mkdir -p "$HEADERS/lists/partial"
    cd "$HEADERS"
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $NEWER main" >apt.list
    set -- -qq -o APT::Sandbox::User=root -o "Dir::Etc::sourcelist=$HEADERS/apt.list" \
        -o Dir::Etc::sourceparts=- -o "Dir::State::lists=$HEADERS/lists" \
        -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache=
    apt-get "$@" update && apt-get "$@" download libvulkan-dev spirv-headers || return 1
    for package in ./*.deb; do
        dpkg-deb -x "$package" unpacked || return 1
    done
    mv unpacked/usr . # last: what is there is whole
    rm -rf lists unpacked apt.list ./*.deb
}

if server=$(scripts/llama_server.sh --cached vulkan); then
    PACKAGES=mesa-vulkan-drivers
elif [ "${1:-}" = --cached ]; then
    skip "llama-server for Vulkan is not built; \`make test-llama-server\` builds it, once"
fi
command -v apt-get >/dev/null || skip "this needs Debian's packages $PACKAGES"
if ! dpkg -s $PACKAGES >/dev/null 2>&1; then # unquoted: each word is a package
    [ "$(id -u)" = 0 ] || skip "run: sudo apt-get install $PACKAGES"
    apt-get update -qq >&2
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $PACKAGES >&2 ||
        skip "$PACKAGES could not be installed"
fi
if [ -z "$server" ]; then
    set -- -DGGML_VULKAN=ON
    if ! grep -q "$NEEDED" /usr/include/vulkan/vulkan_structs.hpp; then
        if [ ! -d "$HEADERS/usr" ] && ! (fetch_headers) >&2; then
            skip "Vulkan's headers are too old here, and $NEWER's could not be fetched"
        fi
        set -- "$@" "-DVulkan_INCLUDE_DIR=$HEADERS/usr/include" \
            "-DSPIRV-Headers_DIR=$HEADERS/usr/share/cmake/SPIRV-Headers"
    fi
    server=$(scripts/llama_server.sh vulkan "$@")
fi
echo "$server"
