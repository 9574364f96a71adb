#!/bin/bash
# Runs a command with a container engine at hand: the machine's own, if there is one; else one of Debian's packages, in a
# change-root and namespaces of its own, without a service and without anything that is left running.
#
#   deploy/verify/engine.sh COMMAND [ARGUMENT...]
#
# Exit code: the command's; 77 if no engine can be had here, with the reason on stderr.
#
# The engine of its own needs root, namespaces and Debian's archive, is made in three minutes and takes 1.5 GB below
# WINDLASS_ENGINE (~/.cache/windlass/engine). It has no network but its own, so it can fetch no image. In their place two are
# made of Debian's packages, under the names that deploy/Dockerfile and docker-compose.yml ask for: RUNTIME_IMAGE, with the
# packages that the Dockerfile installs already in it, and redis, which is Debian's 7.0. The command runs in the same network
# namespace, so that it reaches what containers publish.
set -euo pipefail
cd "$(dirname "$0")/../.."
cache=${WINDLASS_ENGINE:-$HOME/.cache/windlass/engine}
archive=${WINDLASS_DEBIAN:-http://deb.debian.org/debian}

no() { echo "engine: $*" >&2; exit 77; }

# A folder with Debian in it, made once. $1: its name, $2: packages
debian() {
    [ -e "$cache/$1.ready" ] && return 0
    echo "engine: installs Debian with $2 into $cache/$1" >&2
    rm -rf "${cache:?}/$1"
    debootstrap --cache-dir="$cache/debs" --variant=minbase --include="$2" bookworm "$cache/$1" "$archive" >"$cache/$1.log" 2>&1 ||
        no "debootstrap failed: $cache/$1.log"
    touch "$cache/$1.ready"
}

# Compose and buildx, from a newer Debian than the engine's: they are static, and the older ones are too old.
plugins() {
    [ -e "$cache/plugins.ready" ] && return 0
    mkdir -p "$cache"/apt/lists/partial "$cache"/apt/archives/partial "$cache"/docker-config/cli-plugins
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $archive trixie main" >"$cache/apt/sources.list"
    apt=(-o "Dir::Etc::SourceList=$cache/apt/sources.list" -o Dir::Etc::SourceParts=/dev/null -o "Dir::State::Lists=$cache/apt/lists"
        -o "Dir::Cache=$cache/apt" -o APT::Sandbox::User=root)
    (cd "$cache/apt" && apt-get "${apt[@]}" -qq update && apt-get "${apt[@]}" -qq download docker-compose docker-buildx) ||
        no "Debian's docker-compose cannot be fetched"
    for package in "$cache"/apt/*.deb; do dpkg -x "$package" "$cache/plugins"; done
    ln -sf "$cache"/plugins/usr/libexec/docker/cli-plugins/* "$cache/docker-config/cli-plugins/"
    touch "$cache/plugins.ready"
}

install() {
    [ "$(id -u)" = 0 ] || no "an engine of its own needs root, and this machine has none that runs"
    unshare --mount --net --pid --fork true 2>/dev/null || no "this machine allows no namespaces"
    command -v debootstrap >/dev/null || { apt-get -qq update && apt-get -qq install -y debootstrap >/dev/null; } || no "no debootstrap"
    mkdir -p "$cache/debs"
    debian engine docker.io,iptables,iproute2,ca-certificates
    debian base bubblewrap,ca-certificates,git,python3,redis-server,tini
    plugins
    # The engine's own client, where the machine has none.
    mkdir -p "$cache/bin"
    ln -sf "$cache/engine/usr/bin/docker" "$cache/bin/docker"
}

# Becomes the daemon, in a mount namespace of which Debian's folder is the root: a mere change-root would leave the machine's
# own as root of the namespaces that containers are made in, and what is executed in them later would see that.
become_engine() {
    root=$cache/engine
    mount --make-rprivate /
    mount --bind "$root" "$root"
    mount -t proc proc "$root/proc"
    mount -t sysfs sysfs "$root/sys"
    mount --rbind /sys/fs/cgroup "$root/sys/fs/cgroup"
    mount --rbind /dev "$root/dev"
    for place in run tmp; do mount -t tmpfs tmpfs "$root/$place"; done
    mkdir -p "$root/run/windlass" "$root/old"
    mount --bind "$cache/socket" "$root/run/windlass"
    # Compose binds files of this folder.
    mkdir -p "$root$PWD"
    mount --bind "$PWD" "$root$PWD"
    cd "$root"
    pivot_root . old
    umount --lazy /old
    exec /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin dockerd --storage-driver overlay2 --host unix:///run/windlass/docker.sock \
        --exec-opt native.cgroupdriver=cgroupfs --log-level warn
}

start_engine() {
    ip link set lo up
    mkdir -p "$cache/socket"
    rm -f "$cache/socket/docker.sock"
    unshare --mount "$PWD/deploy/verify/engine.sh" --engine >"$cache/dockerd.log" 2>&1 &
    engine=$!
    trap 'kill -TERM $engine 2>/dev/null; wait $engine 2>/dev/null || true' EXIT
    for _ in $(seq 60); do
        docker version >/dev/null 2>&1 && return 0
        kill -0 $engine 2>/dev/null || break
        sleep 0.5
    done
    tail -n 5 "$cache/dockerd.log" >&2
    no "dockerd does not start: $cache/dockerd.log"
}

# Images that stand in for those of a registry. $1: the name
stand_in() {
    docker image inspect "$1" >/dev/null 2>&1 && return 0
    echo "engine: imports Debian as $1" >&2
    tar -C "$cache/base" --exclude=./var/cache/apt -c . | docker import - "$1" >/dev/null
}

images() {
    runtime=$(sed -n 's/^ARG RUNTIME_IMAGE=//p' deploy/Dockerfile)
    stand_in "$runtime"
    redis=$(sed -n 's/^ *image: *\(redis:[^ ]*\)$/\1/p' docker-compose.yml)
    docker image inspect "$redis" >/dev/null 2>&1 || printf 'FROM %s\nRUN install -d -o redis -g redis /data\nWORKDIR /data\n' "$runtime" |
        docker build --quiet --tag "$redis" - >/dev/null
}

[ "${1:-}" != --engine ] || become_engine
if [ "${1:-}" = --inside ]; then
    shift
    export DOCKER_HOST=unix://$cache/socket/docker.sock DOCKER_CONFIG=$cache/docker-config
    start_engine
    images
    status=0
    "$@" || status=$?
    exit "$status"
fi
[ $# -gt 0 ] || { echo "usage: $0 COMMAND [ARGUMENT...]" >&2; exit 2; }
if docker info >/dev/null 2>&1 && docker compose version >/dev/null 2>&1; then
    exec "$@"
fi
install
export PATH=$PATH:$cache/bin
exec unshare --mount --net --pid --fork --kill-child --mount-proc "$PWD/deploy/verify/engine.sh" --inside "$@"
