#!/bin/sh
# Installs LiteLLM, which `make bench-gateway` compares with, into a virtual environment of its own (about 750 MB).
#   bench/litellm/install.sh DIR
set -eu
dir=$1
version=1.106.2

installed() { "$dir/bin/python" -c "from importlib.metadata import version as v; assert v('litellm') == '$version'" 2>/dev/null; }

installed && exit 0
command -v python3 >/dev/null 2>&1 || { echo "no python3: the comparison with LiteLLM is left out" >&2; exit 0; }
echo "fetching LiteLLM $version with its proxy (about 750 MB) into $dir" >&2
python3 -m venv "$dir"
"$dir/bin/python" -m pip install --quiet --disable-pip-version-check "litellm[proxy]==$version"
