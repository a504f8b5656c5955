"""The pipelines of examples/ against their runners' schemas, and docker/README.md against them.

GitHub's, GitLab's and compose's schemas are those of check-jsonschema. Kubernetes' is in schemas/:
Job and CronJob of 1.37.0, strict, from the package kubernetes-validate.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("check_jsonschema", reason="needs check-jsonschema: the dev extra")

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
KUBERNETES = ("--schemafile", str(Path(__file__).parent / "schemas" / "kubernetes-1.37.0.json"))

#: Each file, its schema, and a mistake that the schema must see.
FILES = {
    "github-actions.yml": (
        ("--builtin-schema", "vendor.github-workflows"),
        ("runs-on:", "run-on:"),
    ),
    "github-container.yml": (
        ("--builtin-schema", "vendor.github-workflows"),
        ("container:", "containers:"),
    ),
    "gitlab-ci.yml": (("--builtin-schema", "vendor.gitlab-ci"), ("script:", "scripts:")),
    "compose.yml": (("--builtin-schema", "vendor.compose-spec"), ("read_only:", "readonly:")),
    "kubernetes-job.yml": (KUBERNETES, ("readOnlyRootFilesystem:", "readOnlyRootFileSystem:")),
    "kubernetes-cronjob.yml": (KUBERNETES, ("runAsNonRoot: true", "runAsNonRoot: yes please")),
}


def checked(path: Path, schema: tuple[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "check_jsonschema", *schema, str(path)]
    return subprocess.run(command, capture_output=True, text=True)


def test_no_pipeline_is_left_out() -> None:
    assert sorted(path.name for path in EXAMPLES.glob("*.yml")) == sorted(FILES)


@pytest.mark.parametrize("name", FILES)
def test_each_is_what_its_runner_takes(name: str, tmp_path: Path) -> None:
    schema, (right, wrong) = FILES[name]
    done = checked(EXAMPLES / name, schema)
    assert done.returncode == 0, done.stdout
    text = (EXAMPLES / name).read_text()
    assert right in text
    (tmp_path / name).write_text(text.replace(right, wrong))
    assert checked(tmp_path / name, schema).returncode == 1


@pytest.mark.parametrize("name", ["kubernetes-job.yml", "kubernetes-cronjob.yml"])
def test_a_pod_is_locked_down_and_asks_for_a_gpu(name: str) -> None:
    spec = _pod(_yaml(EXAMPLES / name))
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] > 0
    [container] = spec["containers"]
    assert container["securityContext"] == {
        "readOnlyRootFilesystem": True,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"
    mounted = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert mounted == {"networks": "/work", "tmp": "/tmp"}


def test_the_readme_of_the_images_shows_the_files_as_they_are() -> None:
    shown = re.findall(r"```yaml\n(.*?)```", (ROOT / "docker" / "README.md").read_text(), re.DOTALL)
    files = [(EXAMPLES / name).read_text() for name in ("github-container.yml", "gitlab-ci.yml")]
    assert shown == files


def _yaml(path: Path) -> Any:
    ruamel = pytest.importorskip("ruamel.yaml", reason="needs check-jsonschema: the dev extra")
    return ruamel.YAML(typ="safe", pure=True).load(path.read_text())


def _pod(one: dict[str, Any]) -> dict[str, Any]:
    job = one["spec"] if one["kind"] == "Job" else one["spec"]["jobTemplate"]["spec"]
    spec: dict[str, Any] = json.loads(json.dumps(job["template"]["spec"]))
    return spec
