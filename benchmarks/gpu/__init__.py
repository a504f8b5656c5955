"""What folding Unified Normalization saves on a GPU: the parts of benchmarks/gpu_suite.py."""
