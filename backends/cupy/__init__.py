"""CuPy on an NVIDIA GPU."""
