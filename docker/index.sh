# shellcheck shell=bash
# What every step of the build shares; to be sourced.
export PLACE=/opt/un-deploy TOOLS=/opt/tools

# A package index behind a proxy: its configuration and certificates are mounted, never copied.
if [[ -f /run/secrets/pip-conf ]]; then export PIP_CONFIG_FILE=/run/secrets/pip-conf; fi
if [[ -f /run/secrets/ca ]]; then export PIP_CERT=/run/secrets/ca SSL_CERT_FILE=/run/secrets/ca; fi

# NVIDIA's base sets a constraint of its own, which knows nothing of this project.
unset PIP_CONSTRAINT PIP_BUILD_CONSTRAINT
export PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore

# One time and one order of sets, so that two builds write the same bytes.
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-1577836800} PYTHONHASHSEED=0

# finish FOLDER: takes out what nothing reads when it runs, compiles the rest for a read-only root
# (a hash that nobody checks does not depend on file times), and gives all of it one time.
finish() {
    # Tests, manual pages, type stubs, headers, JupyterLab's plotly, other packages' programs, and
    # ONNX Runtime's library for C programs, which is not the one that Python loads.
    find "$1" -depth -type d \( -name tests -o -path '*/onnx/backend/test' \
        -o -path '*/plotly/labextension' \) -exec rm -rf {} +
    find "$1" -type f \( -name '*.pyi' -o -name '*.pxd' -o -name '*.h' -o -name '*.a' \
        -o -path '*/onnxruntime/capi/libonnxruntime.so*' \) -delete
    find "$1" -path '*/opt/un-deploy/bin/*' ! -name 'python*' ! -name un-deploy -delete
    find "$1" -depth \( -path '*/opt/un-deploy/share' -o -path '*/opt/un-deploy/include' \) \
        -exec rm -rf {} +
    "$PLACE/bin/python" -m compileall -q -s "${1%"$PLACE"}" -p / \
        --invalidation-mode unchecked-hash "$1"
    find "$1" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +
}
