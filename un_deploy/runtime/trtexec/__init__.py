"""NVIDIA's trtexec as a subprocess: found, told how to time, run, and read by its JSON files.

`Trtexec(...).run(...)` gives a `TrtexecResult`. `times_file`, `profile_file` and
`un_deploy.engines.kernels.layer_info` each hold one of trtexec's three JSON forms, both ways: where
the binary is absent, whoever runs an engine through the Python API writes the same files.
"""

from un_deploy.runtime.trtexec.exit_status import Status
from un_deploy.runtime.trtexec.find import find_binary
from un_deploy.runtime.trtexec.flags import Settings
from un_deploy.runtime.trtexec.result import TrtexecResult
from un_deploy.runtime.trtexec.run_trtexec import Trtexec

__all__ = ["Settings", "Status", "Trtexec", "TrtexecResult", "find_binary"]
