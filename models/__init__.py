"""Networks and training recipes to start from: plain PyTorch files, free to copy."""
