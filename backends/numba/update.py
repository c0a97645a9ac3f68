"""One update by all workers, compiled. Each worker owns a share of every layer's inputs: those rows of W.

Forward, a worker multiplies its columns of x with its rows of W. The products of all workers (``parts``) are
then summed; each worker sums the columns that are its inputs of the next layer. Backward, a worker needs all
of dz for its rows of dW and for its columns of dx, which are the previous layer's dz. So a layer costs two
barriers (see docs/speed.md). The optimizer steps each chunk of rows of dW while it is in the cache.

The BLAS computes the products, except those of a first layer with mostly zero inputs (``sparse``). Every sum
has a fixed order, so the same number of workers gives the same bits.
"""

import numpy as np
from numba import carray

from backends.numba.compilation import jit_cached, jit_helper
from backends.numba.elementwise import activate, adam, cross_entropy, multiply_by_derivative
from backends.numba.native import floats_at, gemm, int32s_at, int64s_at, matrix_at, pointer_at
from backends.numba.sparse import (
    add_rows,
    copy_numbers,
    load_batch,
    sparse_product,
    transpose_batch,
    zero_times_rows,
)
from backends.numba.synchronization import (
    PLAN,
    SIZE,
    TICKET,
    UPDATES,
    barrier,
    increment,
    share_bounds,
    wait,
)  # fmt: skip
from backends.reference.optimizers import FLUSH_EVERY, MOMENT_FLOOR

CHUNK_ROWS = 256  # rows of a gradient that are computed and used before the next rows
PADDING_ROWS = 4  # extra rows of arrays that all workers share, beyond the batch size


def record_dtype(words: str, floats: str = "") -> np.dtype:
    """Return the dtype of a record: 64-bit words (sizes and addresses), then float32 numbers."""
    fields = [(name, np.int64) for name in words.split()]
    return np.dtype(fields + [(name, np.float32) for name in floats.split()])


PLAN_DTYPE = record_dtype(
    "rows n_inputs n_examples x columns row_starts x_format y order position layers n_layers sparse accuracy "
    "rates n_rates control sums batch places counts row_indices transposed starts scratch "
    "scratch_size",
    "scale beta1 rest1 beta2 rest2 epsilon decay smoothing",
)
LAYER_DTYPE = record_dtype("n_in n_out kind W b mW vW mb vb inputs slopes parts dz")


@jit_helper
def worker_offset(plan, low):  # type: ignore[no-untyped-def]
    """Return where the numbers of the worker with inputs from ``low`` on begin, in a shared array."""
    return (plan.rows + PADDING_ROWS) * low


@jit_helper
def sum_parts(mailbox, plan, layer, y, slopes, low, high):  # type: ignore[no-untyped-def]
    """Write columns low to high of f(x W + b) into ``y`` (B, high - low): sum all workers' parts of x W.

    Writes f'(x W + b) of a gated activation into ``slopes``.
    """
    size = mailbox[SIZE]
    rows = plan.rows
    n = layer.n_out
    b = floats_at(layer.b, n)[low:high]
    for i in range(rows):
        out = y[i]
        copy_numbers(b, out)
        for worker in range(size):
            first, end = share_bounds(layer.n_in, worker, size)
            if end > first:
                row = matrix_at(layer.parts + 4 * rows * n * worker, rows, n)[i, low:high]
                for j in range(out.shape[0]):
                    out[j] += row[j]
        activate(out, slopes[i], layer.kind)


@jit_helper
def advance_control(plan):  # type: ignore[no-untyped-def]
    """Return (the control array after this update, the ``step`` argument of ``adam``)."""
    control = floats_at(plan.control, 4)
    rates = floats_at(plan.rates, plan.n_rates)
    one = np.float32(1)
    updates = control[3]
    rate = rates[min(np.int64(updates), plan.n_rates - 1)] if plan.n_rates > 1 else control[0]
    c1 = plan.beta1 * control[1] + plan.rest1
    c2 = plan.beta2 * control[2] + plan.rest2
    updates += one
    root = np.sqrt(c2)
    floor = np.float32(MOMENT_FLOOR if np.int64(updates) % FLUSH_EVERY == 0 else 0)
    betas = (plan.beta1, plan.rest1, plan.beta2, plan.rest2)
    decay = one - rate * plan.decay
    return (rate, c1, c2, updates), (rate / c1 * root, *betas, plan.epsilon * root, floor, decay)


@jit_helper
def adam_at(W, m, v, start, g, step):  # type: ignore[no-untyped-def]
    """Step the parameters from ``start`` on in the arrays at these addresses, with the gradient g."""
    n = g.shape[0]
    offset = 4 * start
    adam(floats_at(W + offset, n), g, floats_at(m + offset, n), floats_at(v + offset, n), step)


@jit_helper
def update_bias(layer, dz, scratch, step, low, high):  # type: ignore[no-untyped-def]
    """Compute db in columns low to high and step b there."""
    n = high - low
    if layer.mb:
        total = floats_at(scratch, n)
        total[:] = np.float32(0)
        for i in range(dz.shape[0]):
            row = dz[i, low:high]
            for j in range(n):
                total[j] += row[j]
        adam_at(layer.b, layer.mb, layer.vb, low, total, step)


@jit_helper
def update_weights(plan, layer, x, dz, scratch, step, low, high):  # type: ignore[no-untyped-def]
    """Compute dW = x^T dz in rows low to high, a chunk at a time, and step W; x is (B, high - low)."""
    n = layer.n_out
    width = high - low
    for k in range(0, width, CHUNK_ROWS):
        rows = min(CHUNK_ROWS, width - k)
        gemm(1, 0, rows, n, plan.rows, x + 4 * k, width, dz, n, scratch, n)
        adam_at(layer.W, layer.mW, layer.vW, n * (low + k), floats_at(scratch, n * rows), step)


@jit_helper
def update_sparse_weights(plan, layer, dz, scratch, step, offset, low, high):  # type: ignore[no-untyped-def]
    """``update_weights`` for a sparse first layer."""
    n = layer.n_out
    width = high - low
    starts = int32s_at(plan.starts + 4 * offset, width + 2)
    dz = matrix_at(dz, plan.rows, n)
    zeros = floats_at(scratch, n)
    g = floats_at(scratch + 4 * n, n)
    zero_times_rows(dz, zeros)
    for k in range(width):
        first = 4 * (offset + starts[k])
        nonzeros = starts[k + 1] - starts[k]
        copy_numbers(zeros, g)
        add_rows(
            int32s_at(plan.row_indices + first, nonzeros), floats_at(plan.transposed + first, nonzeros), dz, g
        )
        adam_at(layer.W, layer.mW, layer.vW, n * (low + k), g, step)


@jit_helper
def forward(mailbox, plan, layers, worker, scratch):  # type: ignore[no-untyped-def]
    """Compute the worker's part of each layer's product, and its inputs of the next layer."""
    size = mailbox[SIZE]
    rows = plan.rows
    for t in range(plan.n_layers):
        layer = layers[t]
        low, high = share_bounds(layer.n_in, worker, size)
        n = layer.n_out
        width = high - low
        offset = worker_offset(plan, low)
        x = layer.inputs + 4 * offset
        out = layer.parts + 4 * rows * n * worker
        if t:
            slopes = matrix_at(layer.slopes + 4 * offset, rows, width)
            sum_parts(mailbox, plan, layers[t - 1], matrix_at(x, rows, width), slopes, low, high)
        if width > 0 and plan.sparse and t == 0:
            W = matrix_at(layer.W + 4 * n * low, width, n)
            sparse_product(plan, W, matrix_at(out, rows, n), floats_at(scratch, n), offset)
            transpose_batch(plan, offset, width)
        elif width > 0:
            gemm(0, 0, rows, n, width, x, width, layer.W + 4 * n * low, n, out, n)
        barrier(mailbox)


@jit_helper
def backward(mailbox, plan, layers, worker, dz, scratch, step):  # type: ignore[no-untyped-def]
    """Compute gradients and step, from the last layer to the first; dz is the worker's copy of the last."""
    size = mailbox[SIZE]
    rows = plan.rows
    n_layers = plan.n_layers
    for t in range(n_layers - 1, -1, -1):
        layer = layers[t]
        n = layer.n_out
        low, high = share_bounds(layer.n_in, worker, size)
        width = high - low
        offset = worker_offset(plan, low)
        x = layer.inputs + 4 * offset
        if t < n_layers - 1:
            dz = layer.dz
        if t:
            previous = layers[t - 1]
            if width > 0:
                W = layer.W + 4 * n * low
                out = previous.dz + 4 * low
                gemm(0, 1, rows, width, n, dz, n, W, n, out, layer.n_in)
                inputs = matrix_at(x, rows, width)
                slopes = matrix_at(layer.slopes + 4 * offset, rows, width)
                dx = matrix_at(previous.dz, rows, layer.n_in)
                for i in range(rows):
                    multiply_by_derivative(dx[i, low:high], inputs[i], slopes[i], previous.kind)
        if plan.sparse and t == 0:
            update_sparse_weights(plan, layer, dz, scratch, step, offset, low, high)
        else:
            update_weights(plan, layer, x, dz, scratch, step, low, high)
        if t or n_layers == 1:
            barrier(mailbox)  # the next dz is complete, and all workers have read the last layer's b
        first, end = share_bounds(n, worker, size)
        update_bias(layer, matrix_at(dz, rows, n), scratch, step, first, end)


@jit_helper
def update(mailbox, plan, worker):  # type: ignore[no-untyped-def]
    """Make one update."""
    rows = plan.rows
    layers = carray(pointer_at(plan.layers), (plan.n_layers,), LAYER_DTYPE)
    scratch = plan.scratch + 4 * plan.scratch_size * worker
    batch = int64s_at(plan.position, 1)[0]
    index = int64s_at(plan.order + 8 * rows * batch, rows)
    low, high = share_bounds(plan.n_inputs, worker, mailbox[SIZE])
    if low < high:
        load_batch(plan, index, worker_offset(plan, low), low, high)
    control, step = advance_control(plan)
    forward(mailbox, plan, layers, worker, scratch)
    top = layers[plan.n_layers - 1]
    dz = top.dz + 4 * rows * top.n_out * worker  # each worker computes the loss itself
    logits = matrix_at(dz, rows, top.n_out)
    first = np.int64(0)  # the literal 0 would compile a second form
    sum_parts(mailbox, plan, top, logits, logits, first, top.n_out)
    loss, right = cross_entropy(logits, int64s_at(plan.y, plan.n_examples), index, plan.smoothing)
    if worker == 0:
        sums = floats_at(plan.sums, 3)
        sums[0] += loss
        if plan.accuracy:
            sums[1] += right
        # The other workers have read these before the last barrier, and read them again after the next one.
        int64s_at(plan.position, 1)[0] = batch + 1
        copy_numbers(control, floats_at(plan.control, 4))
    backward(mailbox, plan, layers, worker, dz, scratch, step)


@jit_cached
def run_worker(mailbox, worker, plan, n):  # type: ignore[no-untyped-def]
    """Make n updates of the plan record at address ``plan``, with all workers.

    Worker 0 writes the task into the mailbox, takes its share and returns. The others wait for tasks in a
    loop; a task of 0 updates ends them.
    """
    ticket = 0
    while True:
        if worker == 0:
            mailbox[PLAN], mailbox[UPDATES] = plan, n
            increment(mailbox, TICKET)
        else:
            ticket += 1
            wait(mailbox, TICKET, ticket)
        for _ in range(mailbox[UPDATES]):
            update(mailbox, carray(pointer_at(mailbox[PLAN]), (1,), PLAN_DTYPE)[0], worker)
        if mailbox[UPDATES]:
            barrier(mailbox)
        if worker == 0 or mailbox[UPDATES] == 0:
            return
