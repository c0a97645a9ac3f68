"""A sparse first layer, compiled: load a worker's columns of the batch and multiply with them.

The columns of the batch are held twice: by rows, and transposed, by columns. Both hold the nonzero numbers
and their places.
"""

import numpy as np
from numba.np.unsafe.ndarray import to_fixed_tuple

from backends.numba.compilation import jit_helper
from backends.numba.native import bytes_at, floats_at, int32s_at, int64s_at

FLOAT_FORMAT, BYTE_FORMAT, CSR_FORMAT = 0, 1, 2  # formats of x


@jit_helper
def load_row(row, plan, places, out):  # type: ignore[no-untyped-def]
    """Write the numbers times ``scale``; of a sparse x only the nonzero ones (so is NaN), and their places.

    Returns how many were written.
    """
    scale = plan.scale
    keeps_zeros = not plan.sparse  # read before the loop, which is then compiled once for each value
    n = 0
    for k in range(row.shape[0]):
        value = np.float32(row[k]) * scale
        places[n] = k
        out[n] = value
        n += keeps_zeros or value != 0
    return n


@jit_helper
def load_csr_row(plan, row, places, out, low, high):  # type: ignore[no-untyped-def]
    """``load_row`` for columns low to high of a row in CSR format."""
    row_starts = int64s_at(plan.row_starts, plan.n_examples + 1)
    n = 0
    first = 4 * row_starts[row]
    nonzeros = row_starts[row + 1] - row_starts[row]
    columns = int32s_at(plan.columns + first, nonzeros)
    values = floats_at(plan.x + first, nonzeros)
    for i in range(nonzeros):
        if low <= columns[i] < high:
            places[n] = columns[i] - low
            out[n] = values[i] * plan.scale
            n += 1
    return n


@jit_helper
def load_batch(plan, index, offset, low, high):  # type: ignore[no-untyped-def]
    """Load columns low to high of the batch; of a sparse x only the nonzero numbers.

    Args:
        index: (B,) int64, rows of x.
        offset: where the worker's part of the batch's arrays begins, in numbers.
    """
    width = high - low
    counts = int32s_at(plan.counts + 4 * offset, plan.rows)
    for i in range(plan.rows):
        start = 4 * (offset + width * i)
        out = floats_at(plan.batch + start, width)
        places = int32s_at(plan.places + start, width)
        first = plan.n_inputs * index[i] + low
        if plan.x_format == CSR_FORMAT:
            counts[i] = load_csr_row(plan, index[i], places, out, low, high)
        elif plan.x_format == BYTE_FORMAT:
            counts[i] = load_row(bytes_at(plan.x + first, width), plan, places, out)
        else:
            counts[i] = load_row(floats_at(plan.x + 4 * first, width), plan, places, out)


@jit_helper
def transpose_batch(plan, offset, width):  # type: ignore[no-untyped-def]
    """Transpose the worker's part of the sparse batch; column k then begins at ``starts[k]``."""
    counts = int32s_at(plan.counts + 4 * offset, plan.rows)
    starts = int32s_at(plan.starts + 4 * offset, width + 2)
    row_indices = int32s_at(plan.row_indices + 4 * offset, plan.rows * width)
    transposed = floats_at(plan.transposed + 4 * offset, plan.rows * width)
    ends = starts[1:]
    starts[:] = 0
    for i in range(plan.rows):
        for k in int32s_at(plan.places + 4 * (offset + width * i), counts[i]):
            starts[k + 2] += 1
    for k in range(width):
        starts[k + 2] += starts[k + 1]
    for i in range(plan.rows):
        start = 4 * (offset + width * i)
        places = int32s_at(plan.places + start, counts[i])
        values = floats_at(plan.batch + start, counts[i])
        for t in range(places.shape[0]):
            place = ends[places[t]]
            row_indices[place] = i
            transposed[place] = values[t]
            ends[places[t]] = place + 1


@jit_helper
def add_rows(index, values, rows, out):  # type: ignore[no-untyped-def]
    """out += sum of values[i] rows[index[i]], eight rows per pass."""
    n = index.shape[0]
    for i in range(0, n - 7, 8):
        # Tuples: ``out`` might share memory with arrays, which would be read again for each of its numbers.
        factors = to_fixed_tuple(values[i : i + 8], 8)
        places = to_fixed_tuple(index[i : i + 8], 8)
        for j in range(out.shape[0]):
            total = factors[0] * rows[places[0], j]
            for k in range(1, 8):
                total += factors[k] * rows[places[k], j]
            out[j] += total
    for i in range(n // 8 * 8, n):
        a = values[i]
        ra = rows[index[i]]
        for j in range(out.shape[0]):
            out[j] += a * ra[j]


@jit_helper
def copy_numbers(source, out):  # type: ignore[no-untyped-def]
    """out = source. ``out[:] = source`` would compile a message about shapes, which takes two seconds."""
    for j in range(out.shape[0]):
        out[j] = source[j]


@jit_helper
def zero_times_rows(rows, out):  # type: ignore[no-untyped-def]
    """out = sum of 0 * rows: 0, or NaN in columns with infinity or NaN.

    A sparse product starts from this sum, so that it has NaN wherever a dense product has.
    """
    out[:] = np.float32(0)
    for k in range(rows.shape[0]):
        row = rows[k]
        for j in range(out.shape[0]):
            out[j] += np.float32(0) * row[j]


@jit_helper
def sparse_product(plan, W, out, start, offset):  # type: ignore[no-untyped-def]
    """out = x W, for the worker's columns of x and its rows W. Overwrites ``start``, n numbers."""
    counts = int32s_at(plan.counts + 4 * offset, plan.rows)
    width = W.shape[0]
    zero_times_rows(W, start)
    for i in range(plan.rows):
        first = 4 * (offset + width * i)
        copy_numbers(start, out[i])
        add_rows(
            int32s_at(plan.places + first, counts[i]), floats_at(plan.batch + first, counts[i]), W, out[i]
        )
