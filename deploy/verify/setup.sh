#!/bin/sh
# Fetches what the steps of run.sh need, once: packages of PyPI and npm, and Prometheus.
#   deploy/verify/setup.sh DIR      DIR/venv, DIR/node_modules, DIR/promtool, DIR/prometheus
set -eu
dir=$1
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)

# Each part is made anew when what it is made from has changed: $1 is its name, the rest are files.
fresh() {
    stamp=$dir/.$1
    shift
    cat "$@" | cksum | cmp -s - "$stamp"
}
made() {
    stamp=$dir/.$1
    shift
    cat "$@" | cksum > "$stamp"
}

packages_of_pypi() {
    fresh venv "$here/requirements.txt" && return 0
    echo "fetching packages of PyPI (350 MB)"
    rm -rf "$dir/venv"
    python3 -m venv "$dir/venv"
    "$dir/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps --requirement "$here/requirements.txt"
    made venv "$here/requirements.txt"
}

# Schemas that compile to plain JavaScript; no script of a package runs.
packages_of_npm() {
    fresh npm "$here/package-lock.json" && return 0
    echo "fetching packages of npm"
    command -v npm >/dev/null || { echo "npm is needed: install Node.js 20 or newer" >&2; exit 2; }
    cp "$here/package.json" "$here/package-lock.json" "$dir/"
    (cd "$dir" && npm ci --ignore-scripts --no-audit --no-fund --loglevel error)
    made npm "$here/package-lock.json"
}

# The programs alone, out of Debian's package: installing that would start a service.
prometheus_alone() {
    [ -x "$dir/promtool" ] && [ -x "$dir/prometheus" ] && return 0
    if command -v promtool >/dev/null && command -v prometheus >/dev/null; then
        ln -sf "$(command -v promtool)" "$(command -v prometheus)" "$dir/"
        return 0
    fi
    command -v apt-get >/dev/null || { echo "promtool and prometheus are needed: install Prometheus" >&2; exit 2; }
    echo "fetching Prometheus (Debian's package, not installed)"
    rm -rf "$dir/deb"
    mkdir -p "$dir/deb"
    (cd "$dir/deb" && apt-get download -qq prometheus 2>/dev/null && dpkg -x prometheus_*.deb .)
    mv "$dir/deb/usr/bin/promtool" "$dir/deb/usr/bin/prometheus" "$dir/"
    rm -rf "$dir/deb"
}

packages_of_pypi
packages_of_npm
prometheus_alone
