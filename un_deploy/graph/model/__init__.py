"""Models as they come: files, the kinds that users hold, what must be true of each.

- check_message: Checks that what an ONNX file holds fits together, before anything is made of it.
- checks: Checks a model before the rewriter touches it; each refusal names the culprit.
- file_tensor: A tensor in a weights file: where such a file may lie, and that it stays as it is.
- input_specs: What a graph takes: its inputs with their types and shapes, and whether arrays fit
  them.
- labels: What an operator is called: its name, and the module that it was exported from.
- mend: Mends what runtimes read and what ONNX's own rules forbid, or older versions of it allow.
- message_forms: Forms of an ONNX file that onnx-ir has no objects for: sparse weights, maps, two
  of a name.
- model_file: ONNX files in and out: loaded with lazy weights and checked, saved whole or not at
  all.
- model_kinds: Turns what users hold (path, ModelProto, onnx_ir.Model, gs.Graph) into onnx-ir, and
  back.
- move_weights: Moves the weights of a model out of it: to a file, or aside while its graph is
  changed.
- notes: What a reader of a report should know of a model's file, kept beside the model.
- read_model: Reads a model from a file, and leaves large weights in it until each is read into its
  own array.
- tensor_storage: Makes a model own its tensors, and lists those that lie in weights files.
- write_model: Writes a model to a file byte for byte as protobuf does, one weight at a time.
"""
