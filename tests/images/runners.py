"""The pipelines of examples/, each run in an image in the way that its runner starts a container.

What is emulated: GitHub keeps the container alive with `tail` and runs each step's script in it, as
its own user, with HOME and the workspace mounted; GitLab appends a shell to the image and gives it
the script on its standard input; Kubernetes and compose give a command. Each pipeline is run twice:
it ends well, and with an error limit that nothing can meet it ends with 3.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.images.checks import Checks, networks
from tests.images.engine import HERE, PODMAN, ROOT, Done, run, sh

TOOLS = ROOT / "build" / "images" / "tools"
GITHUB_USER = 1001
IMPOSSIBLE = "1e-30"
#: In trtexec a sample is a run of its own.
FEW = {"BUILDS": "2", "ROUNDS": "2"}
GATE = 3

TO_JSON = "import json, sys, yaml; json.dump(yaml.safe_load(open(sys.argv[1])), sys.stdout)"

#: GitLab's runner looks for a shell like this (it tries more places).
GITLAB_SHELL = """if [ -x /usr/bin/bash ]; then exec /usr/bin/bash
elif [ -x /bin/sh ]; then exec /bin/sh
else echo shell not found; exit 1
fi"""

NO_NETWORK = ("--network=none", *HERE)


def example(name: str) -> dict[str, Any]:
    """A YAML file of examples/."""
    found: dict[str, Any] = json.loads(
        sh(TOOLS / "bin/python", "-c", TO_JSON, ROOT / "examples" / name)
    )
    return found


def check_runners(checks: Checks, *, gpu: bool) -> None:
    """GitHub, GitLab and compose without a GPU; a Job and a CronJob, whose trtexec is a double."""
    if gpu:
        _check_kubernetes(checks)
        return
    _twice(checks, "a container job of GitHub", "networks", _github, "out/compare.html")
    _twice(checks, "a job of GitLab", "networks", _gitlab, "out/compare.html")
    _twice(checks, "compose", "", _compose, "repository/network/config.pbtxt")


def _check_kubernetes(checks: Checks) -> None:
    """The Job, the CronJob on what it left, and each again with a gate that closes."""
    job = example("kubernetes-job.yml")["spec"]["template"]["spec"]
    nightly = example("kubernetes-cronjob.yml")["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    steps = (
        ("a Job of Kubernetes", job, None, "repository/network/config.pbtxt"),
        ("a CronJob after it", nightly, None, "nightly.html"),
        ("the CronJob", nightly, IMPOSSIBLE, ""),
    )
    with networks(checks.image) as folder:
        for what, spec, limit, last in steps:
            _judge(checks, what, _pod(spec, checks.image, folder, limit), folder, limit, last)
    with networks(checks.image) as folder:
        done = _pod(job, checks.image, folder, IMPOSSIBLE)
        _judge(checks, "the Job", done, folder, IMPOSSIBLE, "")


def _twice(
    checks: Checks,
    what: str,
    below: str,
    form: Callable[[str, Path, str | None], Done],
    last: str,
) -> None:
    """Run a form as it stands, and with a gate that closes; ``last`` is what a good run leaves."""
    for limit in (None, IMPOSSIBLE):
        with networks(checks.image, below) as folder:
            _judge(checks, what, form(checks.image, folder, limit), folder, limit, last)


def _judge(
    checks: Checks, what: str, done: Done, folder: Path, limit: str | None, last: str
) -> None:
    if limit is None:
        checks.ends(f"{what} runs to its end", done)
        checks.that(f"{what} writes {last}", (folder / last).is_file(), _names(folder))
    else:
        checks.ends(f"{what} stops at its gate", done, code=GATE, says=f"more than {limit}")


def _names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def _own(folder: Path, user: int) -> None:
    for path in (folder, *folder.rglob("*")):
        os.chown(path, user, user)


def _github(image: str, workspace: Path, limit: str | None) -> Done:
    job = example("github-container.yml")["jobs"]["fold"]
    _own(workspace, GITHUB_USER)
    home = workspace / "_home"
    home.mkdir(mode=0o755)
    os.chown(home, GITHUB_USER, GITHUB_USER)
    variables = {**job["env"], **({} if limit is None else {"MAX_ERROR": limit})}
    place = "/__w/project/project"
    container = sh(
        *(*PODMAN, "run", "--detach", *NO_NETWORK, *job["container"]["options"].split()),
        *("--entrypoint=tail", f"--workdir={place}", "--env=HOME=/github/home", "--env=CI=true"),
        *(f"--volume={workspace}:{place}", f"--volume={home}:/github/home"),
        *(image, "-f", "/dev/null"),
    )
    try:
        said = Done(0, "", "")
        for step in job["steps"]:
            if "run" not in step or said.code:
                continue
            (workspace / "step.sh").write_text(step["run"])
            done = subprocess.run(
                [
                    *(*PODMAN, "exec", f"--workdir={place}", *_environment(variables)),
                    *(container, "sh", "-e", f"{place}/step.sh"),
                ],
                text=True,
                capture_output=True,
            )
            said = Done(done.returncode, said.out + done.stdout, said.err + done.stderr)
    finally:
        sh(*PODMAN, "rm", "--force", "--time=0", container)
    return said


def _gitlab(image: str, folder: Path, limit: str | None) -> Done:
    job = example("gitlab-ci.yml")["fold"]
    variables = {**job["variables"], **({} if limit is None else {"MAX_ERROR": limit})}
    script = [
        "set -o errexit",
        *(f"export {name}={value}" for name, value in variables.items()),
        "cd /builds/group/project",
        *job["script"],
    ]
    mounts = {folder: "/builds/group/project"}
    given = "\n".join(script) + "\n"
    return run(image, "sh", "-c", GITLAB_SHELL, mounts=mounts, lock=NO_NETWORK, stdin=given)


def _compose(image: str, folder: Path, limit: str | None) -> Done:
    service = example("compose.yml")["services"]["un-deploy"]
    variables = {**service["environment"], **({} if limit is None else {"MAX_ERROR": limit})}
    options = [
        *(f"--user={service['user']}", f"--workdir={service['working_dir']}"),
        *(f"--network={service['network_mode']}", f"--read-only={service['read_only']}".lower()),
        *(f"--cap-drop={name}" for name in service["cap_drop"]),
        *(f"--security-opt={name.partition(':')[0]}" for name in service["security_opt"]),
        *(f"--tmpfs={place}" for place in service["tmpfs"]),
        *_environment(variables),
    ]
    [volume] = service["volumes"]
    mounts = {folder: volume.partition(":")[2]}
    command = [part.replace("$$", "$") for part in service["command"]]
    return run(image, *command, mounts=mounts, options=options, lock=HERE)


def _pod(spec: dict[str, Any], image: str, folder: Path, limit: str | None) -> Done:
    """One container of a pod: its user, its read-only root, its volumes, and its command."""
    [container] = spec["containers"]
    of_pod, own = spec["securityContext"], container["securityContext"]
    variables = {one["name"]: one["value"] for one in container["env"]} | FEW
    if limit is not None:
        variables["MAX_ERROR"] = limit
    volumes = {volume["name"]: volume for volume in spec["volumes"]}
    options = [
        f"--user={of_pod['runAsUser']}:{of_pod['runAsGroup']}",
        f"--group-add={of_pod['fsGroup']}",
        f"--read-only={own['readOnlyRootFilesystem']}".lower(),
        "--read-only-tmpfs=false",  # what it may write to is what it mounts
        *(f"--cap-drop={name}" for name in own["capabilities"]["drop"]),
        *(() if own["allowPrivilegeEscalation"] else ("--security-opt=no-new-privileges",)),
        f"--workdir={container['workingDir']}",
        *_environment(variables),
    ]
    mounts = {}
    for mount in container["volumeMounts"]:
        if "emptyDir" in volumes[mount["name"]]:
            options.append(f"--tmpfs={mount['mountPath']}")
        else:
            mounts[folder] = mount["mountPath"]
            for path in (folder, *folder.rglob("*")):  # as fsGroup does
                os.chown(path, 0, of_pod["fsGroup"])
                path.chmod(path.stat().st_mode | (0o2070 if path.is_dir() else 0o060))
    entrypoint, *rest = container["command"]
    command = [*rest, *container["args"]]
    return run(
        image, *command, entrypoint=entrypoint, mounts=mounts, options=options, lock=NO_NETWORK
    )


def _environment(variables: Mapping[str, str]) -> list[str]:
    return [f"--env={name}={value}" for name, value in variables.items()]
