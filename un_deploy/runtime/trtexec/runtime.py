"""trtexec as one more runtime: it builds an engine once, and every sample is a run of its own."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path

import onnx_ir

from un_deploy.engines.building.from_graph import prepare
from un_deploy.engines.building.options import BuildOptions
from un_deploy.graph.precision.convert import Precision
from un_deploy.runtime.session import model_of
from un_deploy.runtime.trtexec.plan_session import TrtexecPlanSession
from un_deploy.runtime.trtexec.run_trtexec import Trtexec
from un_deploy.runtime.trtexec.session import BuiltSession, TrtexecSession


@dataclass(frozen=True)
class TrtexecRuntime:
    """See `un_deploy.runtime.protocol.Runtime`. Untested on hardware.

    The engines' precision is decided in the graph; they are strongly typed. None: the graph's own
    types. `tf32`: whether their products of fp32 may be computed in TF32.
    """

    precision: Precision | None = "fp32"
    trtexec: Trtexec = field(default_factory=Trtexec)
    tf32: bool = True
    name: str = field(default="trtexec", init=False)

    def title(self) -> str:
        """See `un_deploy.runtime.protocol.DescribesItself`."""
        return f"trtexec {self.trtexec.version} ({self.trtexec.binary})"

    def describe(self) -> str:
        """See `un_deploy.runtime.protocol.DescribesItself`."""
        on = {True: "on", False: "off"}
        settings = ", ".join(
            f"{what.replace('_', ' ')} {on[value]}"
            for what, value in asdict(self.trtexec.settings).items()
        )
        return f"trtexec {self.trtexec.version} ({settings}), untested on hardware"

    def load(self, model: onnx_ir.Model | Path) -> TrtexecSession:
        """See `un_deploy.runtime.protocol.Runtime`; the engine is built for the first inputs.

        Raises:
            InputError: a weight does not fit the precision.
        """
        options = BuildOptions(tf32=self.tf32)
        return BuiltSession(prepare(model_of(model), self.precision), self.trtexec, options)

    def load_plan(self, path: Path) -> TrtexecSession:
        """See `un_deploy.runtime.protocol.TakesPlans`."""
        return TrtexecPlanSession(path, self.trtexec)
