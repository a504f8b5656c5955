"""The sdist and the wheel: made, checked, and installed in empty environments.

- __main__: Makes both, checks them, and installs the wheel on the lowest and the highest Python.
- inside: What an environment with the wheel alone, and without torch, must be able to do.
"""
