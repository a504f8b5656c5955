#!/usr/bin/env bash
# Takes out of a slim Python base what only an installation needs, and compiles its library: the
# official images come without bytecode, and here the root is read-only. NVIDIA's, which has TensorRT
# in its Python, stays as it is.
set -euo pipefail
if python3 -c 'from importlib.util import find_spec; exit(not find_spec("tensorrt"))'; then exit; fi

for place in $(python3 -c 'import site; print(*site.getsitepackages())'); do
    rm -rf "$place"/{pip,setuptools,wheel,pkg_resources,_distutils_hack} \
        "$place"/{pip,setuptools,wheel}-*.*-info "$place/distutils-precedence.pth"
done
library=$(python3 -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')
rm -rf "$library"/{ensurepip,idlelib,lib2to3,turtledemo,test}
rm -rf /usr/{,local/}bin/{pip,idle,wheel}* /usr/share/python-wheels
rm -rf /usr/{,local/}share/{info,man,locale}/*
find /usr/share/doc -type f ! -name copyright -delete
python3 -m compileall -q "$library"
