"""How fast the variants of a network are, measured so that the figures can be trusted.

- accuracy: Is what is timed right? Every variant in its backend, against its network in float64.
- clocks: Are the GPU's clocks locked? The driver does not say, so they are read twice.
- compare: Compares the times of LN, UN unfolded, UN folded and no norm, so that the figures can
  be trusted.
- compare_report: What a comparison says, as data: times, ratios, accuracy, engines; to JSON and
  back.
- engine_facts: What the builder of a variant's TensorRT engine tells of it.
- environment: What a measurement ran on: processor, system, versions, GPU. Names no machine.
- statistics: How much slower one variant is than another, with an interval that holds what it
  promises.
- timing: Times several things in turn, so that whatever else the machine does hits all alike.
- timing_process: One build of a comparison: load all entries, look at their outputs, time them in
  turn.
- variant: What is compared: the forms of one network, and which times are divided by which.
- variant_engines: The TensorRT engine of every variant: what it would run, told without running
  it.
- variant_times: The times of a variant, and the ratio of two variants' times.
- layers/: Where the time of a variant goes, layer by layer.
"""
