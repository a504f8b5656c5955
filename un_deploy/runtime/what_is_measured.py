"""What a backend measures, for its reader: what its times span, and what it counts as memory."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class WhatIsTimed:
    """What the timer of a backend measures.

    Attributes:
        spans: what lies between the two readings of the clock.
        not_in_it: beside what no backend times: loading, building, and the first runs.
        clock: that is read.
        device: that computes meanwhile.
    """

    spans: str
    not_in_it: str
    clock: str
    device: str

    def over(self, other: WhatIsTimed) -> WhatIsTimed:
        """Of a backend that runs on the CPU like this, on CUDA like the other."""

        def both(here: str, there: str) -> str:
            return here if here == there else f"on the CPU {here}; on CUDA {there}"

        return WhatIsTimed(
            spans=both(self.spans, other.spans),
            not_in_it=both(self.not_in_it, other.not_in_it),
            clock=both(self.clock, other.clock),
            device=f"{self.device}, or {other.device}",
        )


_HOST, _EVENTS = "the host's, time.perf_counter", "the GPU's, by CUDA events"

RUN_CALLS = WhatIsTimed(
    "calls of ONNX Runtime's run, which takes and gives NumPy arrays; those of outputs are made",
    "nothing of a run",
    _HOST,
    "CPU",
)
BOUND_RUNS = WhatIsTimed(
    "runs on inputs and outputs that lie on the GPU, until the last has ended; the host launches "
    "every kernel meanwhile",
    "copies between host and GPU",
    _HOST,
    "first GPU",
)
CALLS = WhatIsTimed("calls of the module, without gradients", "nothing of a run", _HOST, "CPU")
LAUNCHES = WhatIsTimed(
    "calls of the module, with the gaps in which the GPU waits for the host to launch",
    "copies between host and GPU",
    _EVENTS,
    "first GPU",
)
REPLAYS = WhatIsTimed(
    "replays of the captured graph",
    "copies between host and GPU, and launching kernels one by one",
    _EVENTS,
    "first GPU",
)
TRTEXEC = WhatIsTimed(
    "trtexec's GPU compute time, from the first kernel of an inference to the end of the last, as "
    "a CUDA graph; a sample is the median of one process, times its inferences",
    "copies between host and GPU, enqueueing, trtexec's own start and its warm-up of 200 ms",
    f"{_EVENTS}, as trtexec writes them",
    "first GPU",
)

ORT_MEMORY = (
    "tensors of a run, outputs included, as ONNX Runtime 1.32's allocator counts after each node "
    "(its profile tells); what a kernel takes and gives back meanwhile is not seen. From the "
    "second run on they lie in a block that is planned once. Older versions do not tell"
)
TORCH_MEMORY = (
    "on the CPU host memory that torch's allocator gave out, outputs included (its profiler "
    "tells); on CUDA"
)
GRAPH_MEMORY = "the memory pool of the captured graph"
ENGINE_MEMORY = "what the engine says it needs for activations and scratch, outputs not included"
