"""Holds every use of TensorRT in our sources against what each version of it has.

TensorRT's Python bindings come without its libraries on the plain index, and load over libraries of
ten lines (`install`). pybind11-stubgen writes down what they hold (`stubs`), and mypy checks our
sources against that (`check`).
"""
