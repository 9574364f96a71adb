#!/usr/bin/env bash
# The web page in a real browser: opened, acted on, photographed, judged for accessibility, and measured with 10,000 nodes.
#
#   tests/browser/run.sh [DIR [TEST...]]      DIR holds windlass and windlass-worker; target/debug unless given
#
# Needs node 20, a chromium and a redis-server. What it downloads is below .windlass/browser, photographs in shots/ there.
# Exit code 77: it cannot be done here.
set -euo pipefail
cd "$(dirname "$0")"
root=$(cd ../.. && pwd)
programs=${1:-${WINDLASS_BIN_DIR:-${CARGO_TARGET_DIR:-$root/target}/debug}}
[ $# = 0 ] || shift
home=$root/.windlass/browser

left_out() {
    echo "browser: $*" >&2
    exit 77
}

for program in node npm redis-server redis-cli; do
    command -v "$program" >/dev/null || left_out "there is no $program here"
done
chromium=${WINDLASS_CHROMIUM:-$(command -v chromium || command -v chromium-browser || command -v google-chrome || true)}
[ -n "$chromium" ] || left_out "there is no chromium here: apt install chromium, or WINDLASS_CHROMIUM"
[ -x "$programs/windlass" ] && [ -x "$programs/windlass-worker" ] || {
    echo "browser: no windlass and windlass-worker in $programs: cargo build, or say where" >&2
    exit 2
}

mkdir -p "$home/shots"
if ! cmp -s package-lock.json "$home/package-lock.json"; then
    cp package.json package-lock.json "$home/"
    npm ci --prefix "$home" --no-audit --no-fund --loglevel=error || { rm -f "$home/package-lock.json" && left_out "npm cannot fetch what the tests need"; }
fi

export WINDLASS_BIN_DIR=$programs WINDLASS_CHROMIUM=$chromium WINDLASS_BROWSER_HOME=$home
tests=("$@")
[ ${#tests[@]} -gt 0 ] || tests=(./*.test.mjs)
exec node --test --test-concurrency=1 "${tests[@]}"
