#!/bin/sh
# What the services of docker-compose.yml need to know one another, made when they start for the first time: a password for
# each Redis user, tokens for the HTTP API, a password for Grafana. Each goes into the volume of the service that needs it, and
# into `secrets`, which no other container sees. What is there already is left as it is.
#
#   docker compose run --rm setup              make what is missing; `docker compose up` does that
#   docker compose run --rm setup show         print the token for the API and the page, and the other secrets
#   docker compose run --rm setup rotate NAME  forget one, so that it is made anew: api, prometheus, redis (docs/operations.md)
#
# Volumes are below /run/windlass: secrets, redis, worker, serve, prometheus, grafana.
set -eu
umask 077
root=${WINDLASS_SETUP_ROOT:-/run/windlass}
users=${WINDLASS_SETUP_USERS:-/etc/windlass/users.conf}
secrets=$root/secrets
roles="admin producer worker observer"

random() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }

# Files appear whole or not at all, so that a set-up that was interrupted is repeated and none is used half.
write() {
    cat > "$1.new"
    chmod "$2" "$1.new"
    mv "$1.new" "$1"
}

# A secret that is made once. $1: its name
secret() {
    [ -s "$secrets/$1" ] || random | write "$secrets/$1" 0400
}

# The users of Redis as deploy/redis/users.conf has them, with hashes in place of the passwords; and one that may only ask
# whether the server is there.
redis_users() {
    script=""
    for role in $roles; do
        secret "redis-$role"
        hash=$(sha256sum < "$secrets/redis-$role" | cut -d' ' -f1)
        script="$script s/>change-me-$role/#$hash/;"
    done
    { sed -n "/^user /{$script p;}" "$users"; echo "user health on nopass resetkeys resetchannels -@all +ping"; } | write "$root/redis/users.acl" 0444
    ! grep change-me "$root/redis/users.acl" || { echo "setup: $users has a user that is not known here" >&2; exit 1; }
    write "$root/worker/redis-password" 0444 < "$secrets/redis-worker"
    write "$root/serve/redis-password" 0444 < "$secrets/redis-producer"
}

# A token for the HTTP API. serve gets its hash, and the token goes to who uses it. $1: its name, $2: its roles
token() {
    [ ! -s "$secrets/token-$1" ] || return 0
    rm -f "$secrets/hash-$1"
    # The token goes to stdout, its hash into the file; what it says to people is for people.
    said=$(windlass tokens generate "$1" --roles "$2" --append "$secrets/hash-$1" 2>"$secrets/said") || {
        echo "setup: windlass tokens generate: $(cat "$secrets/said")" >&2
        exit 1
    }
    rm -f "$secrets/said"
    printf '%s' "$said" | write "$secrets/token-$1" 0400
}

make() {
    redis_users
    token api submit,read,operate
    token prometheus read
    cat "$secrets/hash-api" "$secrets/hash-prometheus" | write "$root/serve/tokens.toml" 0444
    write "$root/prometheus/token" 0444 < "$secrets/token-prometheus"
    secret grafana
    write "$root/grafana/password" 0444 < "$secrets/grafana"
    echo "setup: ready. The token for http://127.0.0.1:8642 (keep it secret): docker compose run --rm setup show"
}

show() {
    echo "HTTP API and page, http://127.0.0.1:8642:   $(cat "$secrets/token-api")"
    echo "Grafana, http://127.0.0.1:3000, as admin:   $(cat "$secrets/grafana")"
    for role in $roles; do
        user=windlass-$role
        [ "$role" != admin ] || user="admin"
        printf 'Redis, user %-31s %s\n' "$user:" "$(cat "$secrets/redis-$role")"
    done
}

rotate() {
    case $1 in
    api | prometheus) rm -f "$secrets/token-$1" ;;
    redis) for role in $roles; do rm -f "$secrets/redis-$role"; done ;;
    *) echo "usage: setup rotate api|prometheus|redis" >&2; exit 2 ;;
    esac
    make
}

case ${1:-make} in
make) make ;;
show) show ;;
rotate) rotate "${2:-}" ;;
*) echo "usage: setup [show | rotate NAME]" >&2; exit 2 ;;
esac
