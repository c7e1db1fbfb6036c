#!/bin/sh
# Make .venv and install phonepilot into it: `scripts/setup.sh .` or `scripts/setup.sh ".[dev]"`.
# What was installed is remembered in .venv/ready and .venv/ready-dev, the stamps of the Makefile.
set -eu
cd "$(dirname "$0")/.."

what=${1:-.}

say() { printf '%s\n' "phonepilot: $*" >&2; }
die() { say "$@"; exit 1; }

# A version manager leaves commands that exist and do not run, so each candidate is run.
fits() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

find_python() {
    if [ -n "${PYTHON:-}" ]; then
        fits "$PYTHON" || die "PYTHON=$PYTHON is no Python 3.11 or newer."
        echo "$PYTHON"
        return
    fi
    for candidate in python3.13 python3.12 python3.11 python3; do
        if fits "$candidate"; then
            echo "$candidate"
            return
        fi
    done
    die "Python 3.11 or newer was not found. Install it, or name it: make demo PYTHON=/path/to/python3"
}

apt_install() {
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 1
    say "installing $* with apt-get"
    apt-get -qq update >/dev/null &&
        DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends "$@" >/dev/null
}

make_venv() {
    python=$(find_python)
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        # Debian keeps these two modules in a package of their own.
        package=$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
        apt_install "$package" ||
            die "$python cannot make virtual environments. Run: sudo apt-get install $package"
    fi
    say "making .venv with $("$python" --version)"
    "$python" -m venv --clear .venv
}

# xllamacpp's wheel links to the OpenMP runtime, which a minimal Debian lacks.
ensure_openmp() {
    [ "$(uname -s)" = Linux ] || return 0
    .venv/bin/python -c 'import ctypes; ctypes.CDLL("libgomp.so.1")' 2>/dev/null && return 0
    apt_install libgomp1 ||
        die "the library libgomp is missing. Run: sudo apt-get install libgomp1 (or your system's package)"
}

# A half-made environment has no pip.
.venv/bin/python -c 'import pip' 2>/dev/null || make_venv
ensure_openmp

case $what in
*dev*) say "installing phonepilot and its development tools; the first time takes a minute" ;;
*) say "installing phonepilot; the first time takes half a minute" ;;
esac
install() {
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-input --use-pep517 \
        --no-deps "$@"
}
# Not as constraints: pip takes none with hashes beside a folder, which has no hash.
case $what in
*dev*) cat constraints.txt ;;
*) sed '/^# Only for development/,$d' constraints.txt ;;
esac >.venv/constraints.txt
install --require-hashes --requirement .venv/constraints.txt
install --editable .
touch .venv/ready
case $what in *dev*) touch .venv/ready-dev ;; esac
say "ready"
