"""docker/Dockerfile: what changes seldom comes first, and what README passes is what it takes."""

from __future__ import annotations

import re
from pathlib import Path

DOCKER = Path(__file__).parents[1] / "docker"
TEXT = (DOCKER / "Dockerfile").read_text(encoding="utf-8")


def stages() -> dict[str, list[str]]:
    """The instructions of each stage, by its name; lines that go on are one."""
    found: dict[str, list[str]] = {}
    name = ""
    for line in re.sub(r"\\\n\s*", "", TEXT).splitlines():
        if line.startswith("FROM "):
            name = line.split()[-1]
            found[name] = []
        elif line and not line.startswith("#") and name:
            found[name].append(line)
    return found


def test_one_file_makes_every_image() -> None:
    assert [path.name for path in DOCKER.glob("Dockerfile*")] == ["Dockerfile"]
    assert list(stages()) == ["build", "more", "package", "runtime", "slim", "default"]


def test_packages_are_layers_below_un_deploys_own_files() -> None:
    own = "COPY un_deploy /src/un_deploy"
    assert [name for name, lines in stages().items() if own in lines] == ["package"]
    for name in ("slim", "default"):
        copied = [line for line in stages()[name] if line.startswith("COPY")]
        assert copied[0] == "COPY --from=build /opt/un-deploy /opt/un-deploy"
        assert copied[-2] == "COPY --from=package /package /"
        assert copied[-1].startswith("COPY --from=package /sbom/")


def test_the_revision_comes_last() -> None:
    for name in ("slim", "default"):
        *_, argument, label = stages()[name]
        assert argument == "ARG REVISION=unknown"
        assert label == 'LABEL org.opencontainers.image.revision="${REVISION}"'


def test_the_readme_passes_arguments_that_there_are() -> None:
    readme = (DOCKER / "README.md").read_text(encoding="utf-8")
    taken = set(re.findall(r"^ARG (\w+)", TEXT, re.MULTILINE))
    passed = set(re.findall(r"--build-arg (\w+)=", readme)) - {"NAME", "SOURCE_DATE_EPOCH"}
    listed = set(re.findall(r"^- `(\w+)`: ", readme, re.MULTILINE)) & taken
    assert passed == {"BASE_IMAGE", "EXTRAS", "NVIDIA"}
    assert taken == listed == {"BASE_IMAGE", "EXTRAS", "MORE", "NVIDIA", "REVISION"}


def test_the_readme_names_no_other_dockerfile() -> None:
    readme = (DOCKER / "README.md").read_text(encoding="utf-8")
    assert set(re.findall(r"Dockerfile[.\w]*", readme)) == {"Dockerfile"}
