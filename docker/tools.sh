#!/usr/bin/env bash
# Makes the environment that builds and describes packages, and the empty one that they go to.
set -euo pipefail
cd "$(dirname "$0")"
source ./index.sh

python3 -m venv --without-pip "$TOOLS"
python3 -m pip --python "$TOOLS/bin/python" install --quiet --no-deps --ignore-installed \
    --only-binary :all: --require-hashes --requirement lock/tools.txt
# The packages of a base that has TensorRT's Python bindings stay visible: those are among them.
visible=()
if python3 -c 'from importlib.util import find_spec; exit(not find_spec("tensorrt"))'; then
    visible=(--system-site-packages)
fi
python3 -m venv --without-pip "${visible[@]}" "$PLACE"
finish "$PLACE"
