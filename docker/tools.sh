#!/usr/bin/env bash
# Makes the environment that builds and describes packages, and the empty one that they go to.
#
#     tools.sh [--system-site-packages]
set -euo pipefail
cd "$(dirname "$0")"
source ./index.sh

python3 -m venv --without-pip "$TOOLS"
python3 -m pip --python "$TOOLS/bin/python" install --quiet --no-deps --ignore-installed \
    --only-binary :all: --require-hashes --requirement lock/tools.txt
python3 -m venv --without-pip "$@" "$PLACE"
finish "$PLACE"
