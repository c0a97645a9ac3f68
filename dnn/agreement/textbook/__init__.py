"""A training written out in plain NumPy, with which L4 compares."""
