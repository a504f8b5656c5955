#!/usr/bin/env bash
# Installs what lock/ lists, each file by its hash, and writes the SBOM of all that is there then.
#
#     dependencies.sh NAME,NAME SBOM [ROOT]
#
# NAME: a file of lock/. ROOT: the folder that gets a copy of what was added, as /opt/un-deploy.
set -euo pipefail
cd "$(dirname "$0")"
source ./index.sh
names=$1 sbom=$2 root=${3:-}

wheels=$(mktemp -d)
requirements=() pins=()
for name in ${names//,/ }; do
    if [[ ! -f lock/$name.txt || $name == tools ]]; then
        known=$(basename -s .txt lock/*.txt | grep -v tools | paste -sd ' ')
        echo "\"$name\" is none of: $known" >&2
        exit 1
    fi
    requirements+=(--requirement "lock/$name.txt")
    mapfile -t -O "${#pins[@]}" pins < <(grep -o '^[^ ]*==[^ ]*' "lock/$name.txt")
done

# All are wheels but TensorRT-RTX's meta package: two lines of Python that PyPI has as source only.
"$TOOLS/bin/python" -m pip wheel --quiet --no-deps --only-binary :all: \
    --no-binary tensorrt-rtx-cu13 --no-build-isolation --require-hashes \
    --wheel-dir "$wheels" "${requirements[@]}"
# Nothing that the base has counts as installed: what this environment needs is all in it.
added=${root:-$(mktemp -d)}
"$TOOLS/bin/python" -m pip --python "$PLACE/bin/python" install --quiet --no-deps --no-compile \
    --no-index --find-links "$wheels" --ignore-installed --no-warn-script-location \
    --root "$added" "${pins[@]}"
rm -rf "$wheels"
finish "$added$PLACE"
cp --archive --no-target-directory "$added$PLACE" "$PLACE"
if [[ -z $root ]]; then rm -rf "$added"; fi

mkdir -p "$(dirname "$sbom")"
"$TOOLS/bin/cyclonedx-py" environment "$PLACE/bin/python" --output-reproducible \
    --output-format JSON --output-file "$sbom"
