#!/bin/bash
# The units for systemd, verified as files. Exit code 77: there is no systemd-analyze here.
#
#   deploy/verify/steps/systemd.sh [DIR]      DIR holds the programs; ~/.cache/windlass/target/release unless given
# needs: programs
set -euo pipefail
cd "$(dirname "$0")/../../.."
programs=$(cd "${1:-${CARGO_TARGET_DIR:-$HOME/.cache/windlass/target}/release}" && pwd)
command -v systemd-analyze >/dev/null || { echo "systemd: no systemd-analyze here" >&2; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for unit in deploy/systemd/*.service; do
    # The programs are not installed here.
    sed "s#/usr/local/bin/#$programs/#" "$unit" >"$work/$(basename "$unit")"
    said=$(systemd-analyze verify --man=no "$work/$(basename "$unit")" 2>&1) || { echo "$said" >&2; exit 1; }
    [ -z "$said" ] || { echo "systemd: $said" >&2; exit 1; }
    echo "systemd: $unit: $(systemd-analyze security --offline=true "$work/$(basename "$unit")" | tail -n 1 | sed 's/^[^A-Za-z]*//')"
    # Tens: 3.0 of 10 at most.
    systemd-analyze security --offline=true --threshold=30 "$work/$(basename "$unit")" >/dev/null
done
