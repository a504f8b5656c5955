"""TensorRT and TensorRT-RTX behind one small room: build a plan, read it, run it."""
