#!/bin/sh
# Runs the official OpenAI and Anthropic clients for Python against `windlass scripted`.
#   tests/sdk/run.sh WINDLASS      WINDLASS: the binary
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
[ $# -ge 1 ] && [ -x "$1" ] || { echo "usage: $0 path/to/windlass" >&2; exit 2; }
windlass=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
shift
venv=$root/.windlass/sdk-venv

"$here/venv.sh"
export WINDLASS="$windlass" PYTHONDONTWRITEBYTECODE=1
# No settings of whoever runs this may reach the clients.
unset OPENAI_API_KEY OPENAI_BASE_URL OPENAI_ORG_ID OPENAI_PROJECT_ID ANTHROPIC_API_KEY ANTHROPIC_AUTH_TOKEN \
    ANTHROPIC_BASE_URL http_proxy https_proxy all_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY || true
exec "$venv/bin/python" -m pytest -q -p no:cacheprovider "$@" "$here"
