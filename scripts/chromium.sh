#!/bin/sh
# Make sure that there is a Chromium for the tests of the dashboard.
set -eu

for name in chromium chromium-browser google-chrome google-chrome-stable; do
    if command -v "$name" >/dev/null; then
        exit 0
    fi
done
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "phonepilot: installing chromium with apt-get (about 100 MB to download)" >&2
    apt-get -qq update >/dev/null
    DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends chromium >/dev/null
    exit 0
fi
echo "phonepilot: the tests of the dashboard need Chromium. Run: sudo apt-get install chromium" >&2
exit 1
