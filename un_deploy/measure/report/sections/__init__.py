"""The sections of a report: sentences, plots and tables, whatever they are written as.

- accuracy: The section on accuracy: how far each variant is from float64.
- batch_sizes: The section on batch sizes: the ratios, the times and the throughput at each of them.
- engines: The section on TensorRT engines: each variant's size, its memory, whether it runs no
  norms.
- kernels: The section on kernels: LN's beside those of UN folded, with the ONNX nodes they come
  from.
- layer_times: The section on layers: the time of every variant by group, and LN's layers beside UN
  folded's.
- memory: The section on memory: what a run of every variant holds, and the size of a given plan.
- ratio_lines: A plot of ratios with their intervals from report to report: over batch sizes, or
  over time.
- ratios: The section on ratios, with their intervals, and the A/A control beside them.
- side_by_side: Aligns two sequences of kernels or layers, LN's and UN folded's, in one table.
- summary: The first and last sections: the answer, what is missing, the machine, how to read the
  page.
- times: The section on times: medians, percentiles, throughput, and where all samples lie.
"""
