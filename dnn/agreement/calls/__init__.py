"""Calls of kernels and optimizers as data, with which L0 and L3 compare."""
