"""Makes trees of control groups, as containers have them: what a file system's root would hold."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

V1 = "9:name=systemd:{0}\n4:memory:{0}\n1:cpu,cpuacct:{0}\n"
V2 = "0::{0}\n"
HYBRID = V1 + V2


def made_groups(root: Path, belongs: str, files: Mapping[str, str]) -> Path:
    """A root with what /proc/self/cgroup says, and files below /sys/fs/cgroup."""
    for name, text in {
        "proc/self/cgroup": belongs,
        **{f"sys/fs/cgroup/{name}": text for name, text in files.items()},
    }.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="ascii")
    return root
