#!/bin/sh
# The Helm chart and plain manifests, alert rules, the dashboard, and the examples of docs/kubernetes.md.
#   deploy/verify/steps/chart.sh [DIR]      DIR: programs, which are then given what the chart gives them
set -eu
export PYTHONDONTWRITEBYTECODE=1
cd "$(dirname "$0")/../../.."
dir=$PWD/.windlass/verify
deploy/verify/setup.sh "$dir"
WINDLASS_BIN_DIR=${1:-} VERIFY_DIR=$dir exec "$dir/venv/bin/python" -m pytest --quiet -p no:cacheprovider -rs deploy/verify/chart
