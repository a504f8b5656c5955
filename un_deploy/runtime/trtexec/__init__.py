"""NVIDIA's trtexec as a subprocess: found, told how to time, run, and read by its JSON files.

`Trtexec(...).run(...)` gives a `TrtexecResult`. `times_file`, `profile_file` and
`un_deploy.engines.kernels.layer_info` each hold one of trtexec's three JSON forms, both ways: where
the binary is absent, whoever runs an engine through the Python API writes files in their form.

- exit_status: How a run of trtexec ended, and what its log says: the verdict, warnings, errors.
- find: Where the trtexec binary is, and which version it says it is.
- flags: trtexec's flags: how it times, what it does by default, what a version no longer has.
- output_file: The file of trtexec's ``--exportOutput``: what an engine computed in its last
  inference.
- plan_session: A plan as trtexec runs it: loaded, never built.
- process: Runs a command in a process group of its own, its output in a file.
- profile_file: trtexec's profile (``--exportProfile``): the time of each layer over all iterations.
- result: What a run of trtexec gave, as data.
- run_trtexec: Builds trtexec's command line, runs it, reads its files.
- runtime: trtexec as one more runtime: it builds an engine once, and every sample is a run of its
  own.
- session: A loaded network in trtexec: one engine, and every sample is a run of its own.
- times_file: trtexec's times (``--exportTimes``): one entry for each inference after the warm-up.
"""

from un_deploy.runtime.trtexec.exit_status import Status
from un_deploy.runtime.trtexec.find import find_binary
from un_deploy.runtime.trtexec.flags import Settings
from un_deploy.runtime.trtexec.result import TrtexecResult
from un_deploy.runtime.trtexec.run_trtexec import Trtexec

__all__ = ["Settings", "Status", "Trtexec", "TrtexecResult", "find_binary"]
