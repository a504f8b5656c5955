"""What each command does, from file to file.

- abilities: What a machine lacks for a deployment, what is built on it, and what is served where.
- build: From an ONNX file to a TensorRT plan and its manifest: prepare, check, build, check, write.
- convert: The whole conversion: from a trained LayerNorm network to a checkpoint with UN, and its
  price.
- convert_report: What a conversion did, and what it cost, as data and in words.
- demo: The demo: exports, folds, checks and times the two trained networks that come with the
  package.
- doctor: What this machine can do: the packages of each extra, whether they load, and the GPU.
- fold_file: From an ONNX file to the same network without its norms: load, fold, prove, save.
- fold_model: From a model in memory to the same network without its norms, as Python has it.
- inspect_file: Lists the norms of an ONNX file: which of them fold and where to, and why others do
  not.
- profile: From a graph or a plan to the time of each of its layers, with the ONNX nodes it
  computes.
- save: From a model in memory to its file, whole or not at all.
- strip_file: From an ONNX file to the same network with its norms taken out, which changes answers.
- compare/: From files, or from one model spec, to a comparison.
- export/: From a PyTorch model to an ONNX file without its norms.
- triton/: From a model to its entry in Triton's repository.
"""
