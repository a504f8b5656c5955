"""The plan file and the manifest beside it: written, recognised, loaded.

- header: Reads the first 64 bytes of a plan, enough to refuse what is foreign or cut off.
- load: Loads a plan into the installed TensorRT; a plan of another library is refused before that.
- manifest: The manifest beside a plan: where the plan comes from, its inputs, its profiles, its
  checksum.
"""
