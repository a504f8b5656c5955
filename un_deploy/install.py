"""How to get what is missing: by pip, or, in an image of ours, by another image.

docker/Dockerfile sets UN_DEPLOY_IMAGE to the name of its target. There is no pip in it, and what
is installed by other means would be gone with the container.
"""

from __future__ import annotations

import os

IMAGE = "UN_DEPLOY_IMAGE"
"""The environment variable that an image has, with the name of its target."""

_IN_DEFAULT = ("report", "triton")
"""Extras of the target "default" beyond those of "slim"."""

_ARGUMENTS = ("cpu", "gpu", "rtx")
"""Extras that the build argument EXTRAS takes."""


def how_to_install(*extras: str, instead_of: str = "") -> str:
    """What gives these extras of un-deploy, any of them: a command or an image.

    Args:
        extras: each one, or several with commas; none: un-deploy itself.
        instead_of: a package that pip has to take out before.
    """
    image = os.environ.get(IMAGE)
    if image is None:
        names = [f"un-deploy[{one}]" if one else "un-deploy" for one in extras or ("",)]
        first = f"pip uninstall {instead_of}, then " if instead_of else ""
        return f"{first}pip install " + " or ".join(f'"{name}"' for name in names)
    return "; or ".join(dict.fromkeys(_image_with(one, image) for one in extras or ("",)))


def how_to_install_package(command: str) -> str:
    """What installs another package: the command, or an image where there is no pip."""
    return command if os.environ.get(IMAGE) is None else "build a newer image (docker/README.md)"


def _image_with(extra: str, image: str) -> str:
    wanted = extra.split(",")
    if extra == "":
        return "build this image anew, it is damaged (docker/README.md)"
    if extra == "tensorrt":
        return "use the image of docker/Dockerfile, on NVIDIA's TensorRT container"
    if set(wanted) <= set(_ARGUMENTS):
        return f"build this image with {extra} in its build argument EXTRAS (docker/README.md)"
    if set(wanted) <= set(_IN_DEFAULT):
        if image == "slim":
            return "use the image's target default, this is slim (docker/README.md)"
        return "build this image with its build argument MORE=report,triton (docker/README.md)"
    return (
        f'no image has it: run this outside, where pip install "un-deploy[{extra}]" works, as on '
        "the machine that trains"
    )
