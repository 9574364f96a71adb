#!/bin/sh
# Checks the types of the Python client, and tests it: against a scripted server, and against the real one where
# WINDLASS_BIN_DIR names the folder of the built binaries.
#   clients/python/test.sh [pytest's arguments]
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
venv=$root/.windlass/pyclient-venv

if ! command -v python3 >/dev/null 2>&1; then
    echo "clients/python needs python3 with venv" >&2
    exit 2
fi
# Installed again only when the list has changed.
if ! cmp -s "$here/tests/requirements.txt" "$venv/requirements.txt"; then
    echo "installing what the tests of the Python client need into $venv"
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check -r "$here/tests/requirements.txt"
    cp "$here/tests/requirements.txt" "$venv/requirements.txt"
fi
# As a user installs it, so that a file which is left out of the package is noticed.
"$venv/bin/pip" install --quiet --disable-pip-version-check --force-reinstall --no-deps --no-build-isolation "$here"

cd "$here"
export PYTHONDONTWRITEBYTECODE=1
"$venv/bin/mypy" --cache-dir "$venv/mypy-cache" src tools tests "$root/examples/python-client"
exec "$venv/bin/python" -m pytest "$@"
