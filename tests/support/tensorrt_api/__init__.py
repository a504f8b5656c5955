"""What each version of TensorRT has, and whether a source uses nothing else.

The Python bindings of TensorRT come without its libraries on the plain index, and load over
libraries of ten lines: every name, every argument and what a method returns can be read from them
(`install`, `describe`, `surface`). `check` walks a source and holds each use against that.
"""
