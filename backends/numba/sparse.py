"""A first layer whose inputs are mostly 0, compiled: a worker's columns of the batch, and products with them.

They lie row after row, and turned, column after column: of each its numbers other than 0 with their places.
"""

import numpy as np
from numba import carray

from backends.numba.compiling import part
from backends.numba.native import at, floats, line, numbers, words

FLOATS, BYTES, COMPRESSED = 0, 1, 2  # forms of x


@part
def compress(row, scale, places, kept):  # type: ignore[no-untyped-def]
    """Where a row is not 0, and what is there times the scale; a NaN is not 0. Returns how many."""
    n = 0
    for k in range(row.shape[0]):
        value = np.float32(row[k]) * scale
        places[n] = k
        kept[n] = value
        n += value != 0
    return n


@part
def fill(row, scale, out):  # type: ignore[no-untyped-def]
    for k in range(row.shape[0]):
        out[k] = np.float32(row[k]) * scale


@part
def between(plan, row, places, kept, low, high):  # type: ignore[no-untyped-def]
    """The same of these columns of a row that is compressed already."""
    ends = words(plan.ends, plan.examples + 1)
    n = 0
    first = 4 * ends[row]
    many = ends[row + 1] - ends[row]
    columns = numbers(plan.columns + first, many)
    values = line(plan.x + first, many)
    for i in range(many):
        if low <= columns[i] < high:
            places[n] = columns[i] - low
            kept[n] = values[i] * plan.scale
            n += 1
    return n


@part
def pick(plan, index, mine, low, high):  # type: ignore[no-untyped-def]
    """These columns of the batch: whole, or what is not 0. ``mine``: numbers before the worker's own."""
    n = plan.inner
    width = high - low
    examples = plan.examples
    whole = floats(plan.x, examples, n)
    small = carray(at(plan.x), (examples, n), np.uint8)
    counts = numbers(plan.counts + 4 * mine, plan.rows)
    for i in range(plan.rows):
        where = 4 * (mine + width * i)
        out = line(plan.batch + where, width)
        if plan.sparse:
            places = numbers(plan.places + where, width)
            if plan.form == COMPRESSED:
                counts[i] = between(plan, index[i], places, out, low, high)
            elif plan.form == BYTES:
                counts[i] = compress(small[index[i], low:high], plan.scale, places, out)
            else:
                counts[i] = compress(whole[index[i], low:high], plan.scale, places, out)
        elif plan.form == BYTES:
            fill(small[index[i], low:high], plan.scale, out)
        else:
            fill(whole[index[i], low:high], plan.scale, out)


@part
def turn(plan, mine, width):  # type: ignore[no-untyped-def]
    """The worker's part of the compressed batch, column after column: that of k begins at ``starts[k]``."""
    counts = numbers(plan.counts + 4 * mine, plan.rows)
    starts = numbers(plan.starts + 4 * mine, width + 2)
    heights = numbers(plan.heights + 4 * mine, plan.rows * width)
    turned = line(plan.turned + 4 * mine, plan.rows * width)
    ends = starts[1:]
    starts[:] = 0
    for i in range(plan.rows):
        for k in numbers(plan.places + 4 * (mine + width * i), counts[i]):
            starts[k + 2] += 1
    for k in range(width):
        starts[k + 2] += starts[k + 1]
    for i in range(plan.rows):
        where = 4 * (mine + width * i)
        places = numbers(plan.places + where, counts[i])
        kept = line(plan.batch + where, counts[i])
        for t in range(places.shape[0]):
            place = ends[places[t]]
            heights[place] = i
            turned[place] = kept[t]
            ends[places[t]] = place + 1


@part
def add_rows(which, values, rows, out):  # type: ignore[no-untyped-def]
    """out += sum of values[i] rows[which[i]], eight rows in a pass."""
    n = which.shape[0]
    whole = n // 8
    for t in range(whole):
        i = 8 * t
        a = values[i]
        b = values[i + 1]
        c = values[i + 2]
        d = values[i + 3]
        e = values[i + 4]
        f = values[i + 5]
        g = values[i + 6]
        h = values[i + 7]
        ra = rows[which[i]]
        rb = rows[which[i + 1]]
        rc = rows[which[i + 2]]
        rd = rows[which[i + 3]]
        re = rows[which[i + 4]]
        rf = rows[which[i + 5]]
        rg = rows[which[i + 6]]
        rh = rows[which[i + 7]]
        for j in range(out.shape[0]):
            out[j] += (
                a * ra[j] + b * rb[j] + c * rc[j] + d * rd[j] + e * re[j] + f * rf[j] + g * rg[j] + h * rh[j]
            )
    for i in range(8 * whole, n):
        a = values[i]
        ra = rows[which[i]]
        for j in range(out.shape[0]):
            out[j] += a * ra[j]


@part
def zeros_of(rows, out):  # type: ignore[no-untyped-def]
    """out = the sum of 0 rows: 0, or NaN where a number is not finite, as in a whole product."""
    out[:] = np.float32(0)
    for k in range(rows.shape[0]):
        row = rows[k]
        for j in range(out.shape[0]):
            out[j] += np.float32(0) * row[j]


@part
def sparse_product(plan, W, out, start, mine):  # type: ignore[no-untyped-def]
    """out = x W for the worker's part of x and its rows W; start: what ``zeros_of`` these makes."""
    counts = numbers(plan.counts + 4 * mine, plan.rows)
    width = W.shape[0]
    for i in range(plan.rows):
        where = 4 * (mine + width * i)
        out[i] = start
        add_rows(numbers(plan.places + where, counts[i]), line(plan.batch + where, counts[i]), W, out[i])
