"""The same bits on every library and processor: a namespace of functions with fixed results.

IEEE 754 fixes the bits of x + y, x - y, x * y and x / y. It leaves open the order of sums, fused
multiply-adds, and exp, log and similar functions. ``ReproducibleNamespace`` replaces the functions that are
left open. The reference kernels run on it unchanged.
"""

from backends.reproducible.namespace import ReproducibleNamespace, make_reproducible

__all__ = ["ReproducibleNamespace", "make_reproducible"]
