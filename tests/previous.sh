#!/bin/sh
# Builds the programs of the version before this one (the commit in tests/previous-version), and runs the tests in which
# both share a Redis. They are kept outside of the clone.
set -eu
cd "$(dirname "$0")/.."
commit=$(cat tests/previous-version)
dir=$HOME/.cache/windlass/previous/$commit

build() {
    if ! git cat-file -e "$commit^{commit}" 2>/dev/null; then
        echo "commit $commit is not here: this needs a clone with its history (git fetch --unshallow)" >&2
        exit 2
    fi

    echo "building the previous version ($commit), once, into $dir"
    rm -rf "$dir.new"
    mkdir -p "$dir.new/src"
    git archive "$commit" | tar -x -C "$dir.new/src"
    # What is built of dependencies is shared with this version: most of them are the same. All of the workspace is named,
    # since a package alone is built with other features.
    CARGO_BUILD_BUILD_DIR=$(realpath -m "${CARGO_TARGET_DIR:-target}") CARGO_TARGET_DIR=$dir.new/target \
        cargo build --quiet --locked --manifest-path "$dir.new/src/Cargo.toml" --workspace --bin windlass --bin windlass-worker
    mv "$dir.new/target/debug/windlass" "$dir.new/target/debug/windlass-worker" "$dir.new/"
    rm -rf "$dir.new/src" "$dir.new/target" "$dir"
    mv "$dir.new" "$dir"
}

[ -x "$dir/windlass" ] && [ -x "$dir/windlass-worker" ] || build
if command -v cargo-nextest >/dev/null 2>&1; then
    cargo nextest run --no-fail-fast --workspace -E 'test(/^previous::/)'
else
    cargo test --no-fail-fast --workspace --test e2e previous::
fi
