"""How fast the variants of a network are, measured so that the figures can be trusted.

- accuracy: Compares what every variant computes, in the backend that times it, with float64.
- compare: Times LN, UN unfolded, UN folded and no norm against each other, in several fresh
  processes.
- compare_report: What a comparison says, as data: times, ratios, accuracy, engines; to JSON and
  back.
- conditions: What else the machine did while it measured: other processes' load, and the GPU's
  clock.
- engine_facts: What the builder of a variant's TensorRT engine tells of it: sizes, memory, kernels.
- environment: What a measurement ran on: processor, system, versions, GPU; never the machine's
  name.
- statistics: The ratio of two variants' times, with an interval that errs no more often than it
  says.
- timing: Times several things in turn, so that whatever else the machine does hits all alike.
- timing_process: One build of a comparison, in a process of its own: loads all entries, times them
  in turn.
- variant: A variant of a network, as it is compared; and which times are divided by which.
- variant_engines: Builds a TensorRT engine of every variant, runs none, and tells what each would
  run.
- variant_times: The times of a variant, and the ratio of two variants' times.
- whose_error: Says whose error it is where a variant fails, and keeps the log that tells why.
- layers/: Where the time of a variant goes, layer by layer.
"""
