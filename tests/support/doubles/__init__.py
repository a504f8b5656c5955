"""Stand-ins for what a machine may lack: TensorRT, trtexec, and NVIDIA's driver."""
