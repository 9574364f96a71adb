#!/bin/sh
# Scales as KEDA would, by what the real serve answers to the URL that the chart gives to KEDA.
# needs: programs
#   deploy/verify/steps/scaling.sh DIR      DIR: programs
set -eu
export PYTHONDONTWRITEBYTECODE=1
cd "$(dirname "$0")/../../.."
dir=$PWD/.windlass/verify
deploy/verify/setup.sh "$dir"
exec "$dir/venv/bin/python" deploy/verify/scaling.py "$1"
