#!/usr/bin/env bash
# Writes lock/: every package of the images with the hashes of its files, a file for the core, for
# each extra what it adds to the core, and for the tools that build an image. Versions come from the
# two constraint files; uv finds them and the index tells the hashes. Run it with `make image-lock`
# when a version or an extra has changed.
set -euo pipefail
cd "$(dirname "$0")/.."
lock=docker/lock
mkdir -p "$lock"

# lock NAME INPUT [OPTION...]: for every Linux machine and every Python from 3.11.
lock() {
    name=$1 input=$2
    shift 2
    uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
        --no-header --no-annotate --constraints constraints.txt \
        --constraints docker/constraints.txt "$@" --output-file "$lock/$name.txt" "$input"
}

lock core pyproject.toml
core=()
while read -r name; do core+=(--no-emit-package "$name"); done < <(sed -n 's/==.*//p' "$lock/core.txt")
for extra in cpu gpu rtx report triton; do
    lock "$extra" pyproject.toml --extra "$extra" "${core[@]}"
done
# pip and setuptools are among the packages that uv leaves out unless told otherwise.
printf '%s\n' pip setuptools wheel hatchling cyclonedx-bom packageurl-python | lock tools -
