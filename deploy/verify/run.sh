#!/usr/bin/env bash
# What is too slow or needs too much for `make test`, or concerns what is shipped besides the programs.
#
#   deploy/verify/run.sh [STEP...]      only these steps; with a minus before each, all but these
#
# A step is a program steps/NAME.sh or steps/NAME.py; the second line says what it checks. It gets the folder of the release
# programs as its argument; with a line `# needs: programs` they are built first. Exit code 77: it cannot be done here, and
# it has said why. What steps write is below .windlass/verify.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
programs=${PROGRAMS:-${CARGO_TARGET_DIR:-$PWD/target}/release}

# The quick ones first.
steps=(chart lint)
for file in deploy/verify/steps/*.sh deploy/verify/steps/*.py; do
    name=$(basename "${file%.*}")
    [[ ! -e $file || " ${steps[*]} " == *" $name "* ]] || steps+=("$name")
done

only=no
for word in "$@"; do
    [[ " ${steps[*]} " == *" ${word#-} "* ]] || { echo "there is no step ${word#-}: ${steps[*]}" >&2; exit 2; }
    [[ $word == -* ]] || only=yes
done
chosen=()
for step in "${steps[@]}"; do
    [[ " $* " == *" -$step "* ]] && continue
    [[ $only = no || " $* " == *" $step "* ]] && chosen+=("$step")
done

file_of() { ls "deploy/verify/steps/$1".{sh,py} 2>/dev/null; }

for step in "${chosen[@]}"; do
    if grep -q '^# needs: programs' "$(file_of "$step")"; then
        cargo build --release --quiet --package windlass --package windlass-worker || exit
        break
    fi
done

failed=() left_out=()
for step in "${chosen[@]}"; do
    echo "== $step"
    started=$SECONDS
    "$(file_of "$step")" "$programs"
    code=$?
    case $code in
    0) echo "== $step: ok ($((SECONDS - started)) s)" ;;
    77) echo "== $step: left out" && left_out+=("$step") ;;
    *) echo "== $step: FAILED ($((SECONDS - started)) s)" && failed+=("$step") ;;
    esac
done
[ ${#left_out[@]} = 0 ] || echo "left out: ${left_out[*]}"
[ ${#failed[@]} = 0 ] || { echo "failed: ${failed[*]}" >&2; exit 1; }
