"""NumPy on the CPU."""
