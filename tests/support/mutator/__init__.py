"""Damages ONNX files at random, and judges what the commands make of them.

- files: Ten small ONNX files, with their weights files, for the mutator.
- judge: Runs the four commands on damaged files in a process of its own, and says what went wrong.
- mutate: A file damaged at a place that its seed draws: bytes, fields, names, types, weights files.
"""
