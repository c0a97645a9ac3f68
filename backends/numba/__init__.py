"""NumPy arrays with loops that Numba compiles."""
