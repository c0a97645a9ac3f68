"""NumPy arrays with loops that Numba compiles."""

import sys

from backends.processor import require_address_space

# To load LLVM and SciPy's BLAS, and to compile, with two threads. In less memory this BLAS tries for ever.
NEEDED_BYTES = 450 << 20

if "numba" not in sys.modules:
    require_address_space("numba", NEEDED_BYTES)
