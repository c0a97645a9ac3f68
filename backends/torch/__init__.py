"""PyTorch tensors on the CPU, CUDA or Metal."""
