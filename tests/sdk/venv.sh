#!/bin/sh
# Makes .windlass/sdk-venv: a Python with pytest and the official OpenAI and Anthropic clients, as requirements.txt says.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
venv=$root/.windlass/sdk-venv

if ! command -v python3 >/dev/null 2>&1; then
    echo "tests/sdk needs python3 with venv" >&2
    exit 2
fi
# Installed again only when the list has changed.
if ! cmp -s "$here/requirements.txt" "$venv/requirements.txt"; then
    echo "installing the clients into $venv"
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements.txt"
    cp "$here/requirements.txt" "$venv/requirements.txt"
fi
