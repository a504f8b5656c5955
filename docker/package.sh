#!/usr/bin/env bash
# Builds the wheel, installs it alone below ROOT, as /opt/un-deploy, and completes the SBOMs.
#
#     package.sh ROOT SBOM...
set -euo pipefail
cd "$(dirname "$0")/.."
source docker/index.sh
root=$1
shift

wheels=$(mktemp -d)
"$TOOLS/bin/python" -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir "$wheels" .
"$TOOLS/bin/python" -m pip --python "$PLACE/bin/python" install --quiet --no-deps --no-compile \
    --no-index --find-links "$wheels" --ignore-installed --no-warn-script-location \
    --root "$root" un-deploy
finish "$root$PLACE"
"$TOOLS/bin/python" docker/sbom.py "$wheels"/*.whl "$@"
touch --date="@$SOURCE_DATE_EPOCH" "$@"
