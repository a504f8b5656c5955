"""Why torchvision does not load: timm needs it, and transformers takes it where it is installed."""

from __future__ import annotations

import importlib
from importlib import metadata

from un_deploy.errors import first_line


def why_not() -> str:
    """The reason with both versions and what to do; empty where torchvision loads or is missing.

    Its compiled operators are for one build of torch: those of the package index are for CUDA, and
    beside torch for the CPU torchvision cannot be imported.
    """
    try:
        version = metadata.version("torchvision")
        importlib.import_module("torchvision")
    except ImportError as error:
        if isinstance(error, metadata.PackageNotFoundError):
            return ""
        said = first_line(error)
    except Exception as error:  # RuntimeError: operator torchvision::nms does not exist
        said = first_line(error)
    else:
        return ""
    try:
        torch = metadata.version("torch")
    except metadata.PackageNotFoundError:
        return f"torchvision {version} does not load without torch"
    return (
        f"torchvision {version} does not load beside torch {torch}: {said}; install the one that "
        "was built for this torch, from the index that torch came from, or take it out: "
        "pip uninstall torchvision (transformers does without, timm does not)"
    )
