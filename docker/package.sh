#!/usr/bin/env bash
# Builds the wheel, installs it alone below ROOT, as /opt/un-deploy, and completes the SBOMs. Its
# large files, which seldom change, go below LARGE: the kept networks and the page's script.
#
#     package.sh ROOT LARGE SBOM...
set -euo pipefail
cd "$(dirname "$0")/.."
source docker/index.sh
root=$1 large=$2
shift 2

wheels=$(mktemp -d)
"$TOOLS/bin/python" -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir "$wheels" .
"$TOOLS/bin/python" -m pip --python "$PLACE/bin/python" install --quiet --no-deps --no-compile \
    --no-index --find-links "$wheels" --ignore-installed --no-warn-script-location \
    --root "$root" un-deploy
mkdir -p "$large$PLACE"
(cd "$root$PLACE" && find . -type f -size +256k \
    -exec cp --parents --target-directory "$large$PLACE" {} \; -delete)
finish "$root$PLACE"
finish "$large"
"$TOOLS/bin/python" docker/sbom.py "$wheels"/*.whl "$@"
touch --date="@$SOURCE_DATE_EPOCH" "$@"
