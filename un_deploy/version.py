"""Versions: of un-deploy, and of the packages that are installed beside it."""

from __future__ import annotations

__version__ = "0.1.0"


def version_of(package: str) -> str | None:
    """The version of an installed package; None where it is not installed."""
    from importlib import metadata  # here: `import un_deploy` reads this file, and stays light

    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
