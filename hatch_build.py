"""README as the package's page shows it, away from the repository: hatchling calls this."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

_LINK = re.compile(r"\[([^\]]+)\]\((?!https?:|#)([^)#]+)[^)]*\)")


def outside(readme: str) -> str:
    """The text, with the paths that its links lead to in words: nothing stands beside it there."""
    return _LINK.sub(r"\1 (\2)", readme).replace(
        "\n\n", "\n\nThe paths below are of files in the source archive.\n\n", 1
    )


class Readme(MetadataHookInterface):
    """Gives the metadata its long description."""

    def update(self, metadata: dict[str, Any]) -> None:
        """See hatchling."""
        text = Path(self.root, "README.md").read_text(encoding="utf-8")
        metadata["readme"] = {"content-type": "text/markdown", "text": outside(text)}
