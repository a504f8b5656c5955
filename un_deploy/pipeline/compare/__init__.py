"""From files, or from one model spec, to a comparison.

- check_folded: Whether a file that was given for UN folded is UN unfolded's network, and folded.
- compare: From files, or from one model spec, to the comparison of LN, UN unfolded, folded and no
  norm.
- given_plans: TensorRT plans as variants of a comparison: which can be compared, and which backend
  runs them.
- page: From a comparison, in memory or as JSON, to its HTML page, as Python has it.
- remarks: What a reader must know of the graphs compared: that some are quantised and others are
  not.
- report_file: From a comparison, or the JSON that one left behind, to the HTML page.
- together: Options of a comparison that do not go together, refused before a file is read.
- variants: The variants of one network for a comparison: given, exported, or derived from one
  another.
"""
