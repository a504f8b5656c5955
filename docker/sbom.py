"""Adds to SBOMs of Python packages un-deploy itself and the base's Debian packages.

    sbom.py WHEEL SBOM...

Runs in the build stage, in the tools' Python, on the base that the image has too.
"""

import json
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

from packageurl import PackageURL

FIELDS = "${binary:Package}\t${Version}\t${Architecture}\t${db:Status-Status}\n"


def system_packages() -> list[dict[str, Any]]:
    """What dpkg says is installed, with the distribution in the package URL."""
    release = platform.freedesktop_os_release()
    distribution = f"{release['ID']}-{release['VERSION_ID']}"
    query = ["dpkg-query", "--show", f"--showformat={FIELDS}"]
    listed = subprocess.check_output(query, text=True)
    found = []
    for line in sorted(listed.splitlines()):
        name, version, architecture, status = line.split("\t")
        if status == "installed":
            name = name.partition(":")[0]
            where = {"arch": architecture, "distro": distribution}
            url = PackageURL("deb", release["ID"], name, version, where).to_string()
            found.append(_component(name, version, url, "library"))
    return found


def _component(name: str, version: str, url: str, kind: str) -> dict[str, Any]:
    return {"bom-ref": url, "name": name, "purl": url, "type": kind, "version": version}


def main(wheel: str, *sboms: str) -> None:
    """Complete each file in place."""
    name, version = Path(wheel).name.split("-")[:2]
    name = name.replace("_", "-")
    url = PackageURL("pypi", None, name, version).to_string()
    own = _component(name, version, url, "application")
    own["licenses"] = [{"license": {"id": "Apache-2.0"}}]
    base = system_packages()
    for sbom in map(Path, sboms):
        told = json.loads(sbom.read_text())
        packages = told.setdefault("components", [])
        packages[:0] = [own]
        packages += base
        sbom.write_text(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
