#!/usr/bin/env bash
# Makes /opt/un-deploy in the build stage: the package and its $EXTRAS in a virtual environment of
# the base's Python, compiled, with an SBOM and without what only an installation needs.
#
#     install.sh [--system-site-packages]
set -euo pipefail
cd "$(dirname "$0")/.."
home=/opt/un-deploy

# A package index behind a proxy: its configuration and certificates are mounted, never copied.
if [[ -f /run/secrets/pip-conf ]]; then export PIP_CONFIG_FILE=/run/secrets/pip-conf; fi
if [[ -f /run/secrets/ca ]]; then export PIP_CERT=/run/secrets/ca SSL_CERT_FILE=/run/secrets/ca; fi

# Exact versions, also of what builds a wheel. This replaces the constraints that a base may set:
# NVIDIA's do, and they know nothing of this project.
export PIP_CONSTRAINT="constraints.txt docker/constraints.txt"
export PIP_BUILD_CONSTRAINT=$PIP_CONSTRAINT
export PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore

python3 -m venv --without-pip "$@" "$home"
# Nothing that the base has counts as installed: what this environment needs is all in it.
python3 -m pip --python "$home/bin/python" install --quiet --no-compile --ignore-installed \
    ".[${EXTRAS}]"
# pip only warns of an extra that does not exist.
"$home/bin/python" - "$EXTRAS" <<'PYTHON'
import sys
from importlib.metadata import metadata

known = metadata("un-deploy").get_all("Provides-Extra")
unknown = [extra for extra in sys.argv[1].split(",") if extra not in known]
sys.exit(f"EXTRAS: {', '.join(unknown)} is not of {', '.join(known)}" if unknown else 0)
PYTHON

python3 -m venv --without-pip /tmp/sbom
python3 -m pip --python /tmp/sbom/bin/python install --quiet --ignore-installed cyclonedx-bom
/tmp/sbom/bin/cyclonedx-py environment "$home/bin/python" --output-reproducible --output-format JSON \
    --output-file "$home/sbom.cdx.json"

# Nothing here reads tests, manual pages, type stubs, headers, or runs other packages' programs.
find "$home" -depth -type d \( -name tests -o -path '*/onnx/backend/test' \) -exec rm -rf {} +
find "$home" -type f \( -name '*.pyi' -o -name '*.pxd' -o -name '*.h' -o -name '*.a' \) -delete
find "$home/bin" ! -type d ! -name 'python*' ! -name un-deploy -delete
rm -rf "$home/share" "$home/include"

# The root is read-only when it runs. A hash that nobody checks does not depend on file times.
"$home/bin/python" -m compileall -q --invalidation-mode unchecked-hash "$home/lib"
