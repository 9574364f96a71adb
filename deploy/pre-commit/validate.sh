#!/bin/sh
# Checks files of tasks, each line as `windlass submit --file` would, without a fleet: the hook `windlass-validate`.
#
#   validate.sh [--config windlass.toml] FILE...
#
# Exit code 1 if a line of any file would be rejected; its number and why are on stderr.
set -u
config=""
case ${1:-} in
--config)
    config=$2
    shift 2
    ;;
--config=*)
    config=${1#--config=}
    shift
    ;;
esac
command -v windlass >/dev/null || {
    echo "windlass-validate: the program \`windlass\` is not on PATH: docs/operations.md#installation" >&2
    exit 2
}
status=0
for file in "$@"; do
    # Nothing of the environment leads it to a fleet; it needs none.
    windlass submit --dry-run --file "$file" ${config:+--config "$config"} >/dev/null || {
        code=$?
        [ "$code" = 1 ] || exit "$code"
        status=1
    }
done
exit "$status"
