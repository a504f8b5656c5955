"""A plan as trtexec runs it: loaded, never built."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from packaging.version import Version

from un_deploy.engines.plan.manifest import Manifest, input_spec, load_plan
from un_deploy.engines.profiles import profile_holding
from un_deploy.errors import InputError
from un_deploy.graph.model.input_specs import Feeds, check_feeds
from un_deploy.runtime.run_memory import RunMemory
from un_deploy.runtime.trtexec.run_trtexec import Trtexec
from un_deploy.runtime.trtexec.session import TrtexecSession


class TrtexecPlanSession(TrtexecSession):
    """See `un_deploy.runtime.protocol.Session`.

    Raises:
        InputError: plan or manifest is missing or damaged, they differ, or the plan is of
            another flavour or version than trtexec; or there is no trtexec.
    """

    def __init__(self, path: Path, trtexec: Trtexec) -> None:
        _, self._manifest = load_plan(path)
        _check(path, self._manifest, trtexec.version)
        super().__init__(tuple(map(input_spec, self._manifest.inputs)), trtexec)
        self._path = path

    def run_memory(self, feeds: Feeds) -> RunMemory:
        """See `un_deploy.runtime.run_memory.TellsMemory`."""
        found = self._manifest.memory.get("activation")
        if found is None:
            return super().run_memory(feeds)
        return RunMemory(
            found, "activation memory of the plan for all its profiles, as its builder told"
        )

    def _engine(self, feeds: Feeds) -> Path:
        try:
            check_feeds(self.inputs, feeds)
            self._profile({name: tuple(array.shape) for name, array in feeds.items()})
        except InputError as error:
            raise InputError(f"{self._path} cannot be run: {error}") from error
        return self._path

    def _shapes(self, shapes: Mapping[str, tuple[int, ...]]) -> list[str]:
        profile = self._profile(shapes)
        flags = [f"--useProfile={profile}"] if profile else []
        if self._manifest.portable:
            flags.append("--versionCompatible")  # allows the host code of such a plan
        if all(isinstance(dim, int) for spec in self.inputs for dim in spec.shape or ()):
            return flags
        given = (f"{name}:{'x'.join(map(str, shape))}" for name, shape in shapes.items())
        return [f"--shapes={','.join(given)}", *flags]

    def _profile(self, shapes: Mapping[str, tuple[int, ...]]) -> int:
        return profile_holding(self._manifest.profiles, shapes)


def _check(path: Path, manifest: Manifest, version: Version) -> None:
    """Refuse before TensorRT crashes; trtexec tells three parts of its version."""
    if manifest.flavor != "tensorrt":
        raise InputError(f"{path} is a plan of {manifest.flavor}: trtexec loads those of tensorrt")
    if not manifest.loads_in(version):
        raise InputError(
            f"{path} was built with TensorRT {manifest.tensorrt}, and trtexec is of {version}: "
            "build it again, or use that version's trtexec"
        )
