"""A whole update by workers, compiled. Each has a share of every layer's inputs, and so of the rows of W.

Forward it multiplies its columns of x with its rows of W; the workers' products (``parts``) are added, by
each for the columns that are its inputs of the next layer. Backward it needs all of dz for its rows of dW,
and for its columns of dx, which are the next dz. So a layer costs two meetings (see docs/speed.md). A step of
the optimizer follows right behind some rows of dW.

A product is a BLAS's; a first layer whose inputs are mostly 0 takes the others one by one. Every sum has one
order, so that equal numbers of workers make equal bits.
"""

import numpy as np
from numba import carray

from backends.numba.compiling import compiled, part
from backends.numba.elementwise import activate, adam, cross_entropy, slope
from backends.numba.native import at, floats, gemm, line, numbers, words
from backends.numba.sparse import add_rows, pick, sparse_product, turn, zeros_of
from backends.numba.waiting import PLAN, SGEMM, SIZE, TICKET, UPDATES, count, meet, share, wait

CHUNK = 256  # rows of a gradient that are made and used before the next ones
MORE = 4  # rows more than a batch has, in arrays where each worker has a part


def record(words: str, floats: str = "") -> np.dtype:
    """A record of 64-bit words, sizes and addresses, and then of numbers."""
    fields = [(name, np.int64) for name in words.split()]
    return np.dtype(fields + [(name, np.float32) for name in floats.split()])


Plan = record(
    "rows inner examples x columns ends form y order position layers depth sparse accuracy rates changes "
    "control sums batch places counts heights turned starts logits scratch room every",
    "scale beta1 rest1 beta2 rest2 epsilon decay floor",
)
Layer = record("n_in n_out kind W b mW vW mb vb inputs parts dz")


@part
def own(plan, low):  # type: ignore[no-untyped-def]
    """Where a worker's numbers begin that has the inputs from ``low`` on, in an array for all workers."""
    return (plan.rows + MORE) * low


@part
def join(mail, plan, layer, y, low, high):  # type: ignore[no-untyped-def]
    """y = f(x W + b) in these columns, which ``y`` (B, high - low) holds, from all workers' parts of x W."""
    size = mail[SIZE]
    rows = plan.rows
    n = layer.n_out
    b = line(layer.b, n)[low:high]
    for worker in range(size):
        first, end = share(layer.n_in, worker, size)
        if end > first:
            p = floats(layer.parts + 4 * rows * n * worker, rows, n)
            for i in range(rows):
                out = y[i]
                row = p[i, low:high]
                if worker == 0:
                    for j in range(out.shape[0]):
                        out[j] = row[j] + b[j]
                else:
                    for j in range(out.shape[0]):
                        out[j] += row[j]
    for i in range(rows):
        activate(y[i], layer.kind)


@part
def advanced(plan):  # type: ignore[no-untyped-def]
    """(the control array after this update, what ``adam`` takes)."""
    before = line(plan.control, 4)
    rate = before[0]
    c1 = before[1]
    c2 = before[2]
    updates = before[3]
    rates = line(plan.rates, plan.changes)
    one = np.float32(1)
    if plan.changes > 1:
        rate = rates[min(np.int64(updates), plan.changes - 1)]
    c1 = plan.beta1 * c1 + plan.rest1
    c2 = plan.beta2 * c2 + plan.rest2
    updates += one
    root = np.sqrt(c2)
    floor = plan.floor if np.int64(updates) % plan.every == 0 else np.float32(0)
    betas = (plan.beta1, plan.rest1, plan.beta2, plan.rest2)
    keep = one - rate * plan.decay
    return (rate, c1, c2, updates), (rate / c1 * root, *betas, plan.epsilon * root, floor, keep)


@part
def learn_bias(layer, dz, scratch, step, low, high):  # type: ignore[no-untyped-def]
    """db and a step of b in these columns."""
    n = high - low
    if layer.mb and n > 0:
        total = line(scratch, n)
        total[:] = np.float32(0)
        for i in range(dz.shape[0]):
            row = dz[i, low:high]
            for j in range(n):
                total[j] += row[j]
        b = line(layer.b + 4 * low, n)
        m = line(layer.mb + 4 * low, n)
        v = line(layer.vb + 4 * low, n)
        adam(b, total, m, v, step)


@part
def learn(mail, plan, layer, x, dz, scratch, step, low, high):  # type: ignore[no-untyped-def]
    """dW = x^T dz in these rows and a step of W right behind, some rows at a time; x (B, high - low)."""
    n = layer.n_out
    width = high - low
    for k in range(0, width, CHUNK):
        rows = min(CHUNK, width - k)
        where = 4 * n * (low + k)
        size = n * rows
        gemm(mail[SGEMM], 1, 0, rows, n, plan.rows, x + 4 * k, width, dz, n, scratch, n)
        w = line(layer.W + where, size)
        m = line(layer.mW + where, size)
        v = line(layer.vW + where, size)
        adam(w, line(scratch, size), m, v, step)


@part
def learn_sparse(plan, layer, dz, scratch, spoiled, step, mine, low, high):  # type: ignore[no-untyped-def]
    """The same of the first layer, whose x is compressed; and ``spoiled`` of the rows as they become."""
    n = layer.n_out
    width = high - low
    starts = numbers(plan.starts + 4 * mine, width + 2)
    dz = floats(dz, plan.rows, n)
    zeros = line(scratch, n)
    g = line(scratch + 4 * n, n)
    zeros_of(dz, zeros)
    spoiled[:] = np.float32(0)
    for k in range(width):
        first = 4 * (mine + starts[k])
        many = starts[k + 1] - starts[k]
        where = 4 * n * (low + k)
        g[:] = zeros
        add_rows(numbers(plan.heights + first, many), line(plan.turned + first, many), dz, g)
        W = line(layer.W + where, n)
        adam(W, g, line(layer.mW + where, n), line(layer.vW + where, n), step)
        for j in range(n):
            spoiled[j] += np.float32(0) * W[j]


@part
def forward(mail, plan, layers, worker, spoiled, fresh):  # type: ignore[no-untyped-def]
    """All workers' ``parts`` of each layer's product, and the worker's own ``inputs`` of each."""
    size = mail[SIZE]
    rows = plan.rows
    for t in range(plan.depth):
        layer = layers[t]
        low, high = share(layer.n_in, worker, size)
        n = layer.n_out
        width = high - low
        mine = own(plan, low)
        x = layer.inputs + 4 * mine
        out = layer.parts + 4 * rows * n * worker
        if t:
            below = layers[t - 1]
            join(mail, plan, below, floats(x, rows, width), low, high)
        if width > 0 and plan.sparse and t == 0:
            W = floats(layer.W + 4 * n * low, width, n)
            if fresh:
                zeros_of(W, spoiled)
            sparse_product(plan, W, floats(out, rows, n), spoiled, mine)
            turn(plan, mine, width)
        elif width > 0:
            gemm(mail[SGEMM], 0, 0, rows, n, width, x, width, layer.W + 4 * n * low, n, out, n)
        meet(mail)


@part
def backward(mail, plan, layers, worker, dz, scratch, spoiled, step):  # type: ignore[no-untyped-def]
    """From the worker's copy of the last dz: each layer's gradients and a step, from the last one down."""
    size = mail[SIZE]
    rows = plan.rows
    depth = plan.depth
    for t in range(depth - 1, -1, -1):
        layer = layers[t]
        n = layer.n_out
        low, high = share(layer.n_in, worker, size)
        width = high - low
        x = layer.inputs + 4 * own(plan, low)
        if t < depth - 1:
            dz = layer.dz
        if t:
            below = layers[t - 1]
            if width > 0:
                W = layer.W + 4 * n * low
                out = below.dz + 4 * low
                gemm(mail[SGEMM], 0, 1, rows, width, n, dz, n, W, n, out, layer.n_in)
                inputs = floats(x, rows, width)
                dx = floats(below.dz, rows, layer.n_in)
                for i in range(rows):
                    slope(dx[i, low:high], inputs[i], below.kind)
        if width > 0 and plan.sparse and t == 0:
            learn_sparse(plan, layer, dz, scratch, spoiled, step, own(plan, low), low, high)
        else:
            learn(mail, plan, layer, x, dz, scratch, step, low, high)
        if t or depth == 1:
            meet(mail)  # the next dz is whole; and all have read the last layer's b
        first, end = share(n, worker, size)
        learn_bias(layer, floats(dz, rows, n), scratch, step, first, end)


@part
def update(mail, plan, worker, fresh):  # type: ignore[no-untyped-def]
    """One update; ``fresh``: what it kept beside W is of other weights, since W may have been changed."""
    rows = plan.rows
    layers = carray(at(plan.layers), (plan.depth,), Layer)
    scratch = plan.scratch + 4 * plan.room * worker
    batch = words(plan.position, 1)[0]
    index = words(plan.order + 8 * rows * batch, rows)
    low, high = share(plan.inner, worker, mail[SIZE])
    if low < high:
        pick(plan, index, own(plan, low), low, high)
    control, step = advanced(plan)
    spoiled = line(scratch + 4 * (plan.room - layers[0].n_out), layers[0].n_out)
    forward(mail, plan, layers, worker, spoiled, fresh)
    top = layers[plan.depth - 1]
    dz = plan.logits + 4 * rows * top.n_out * worker  # each worker computes the loss for itself
    logits = floats(dz, rows, top.n_out)
    join(mail, plan, top, logits, 0, top.n_out)
    loss, right = cross_entropy(logits, words(plan.y, plan.examples), index)
    if worker == 0:
        sums = line(plan.sums, 3)
        sums[0] += loss
        if plan.accuracy:
            sums[1] += right
    # The others have read these, and read them again after another meeting.
    if worker == 0:
        words(plan.position, 1)[0] = batch + 1
        line(plan.control, 4)[:] = control
    backward(mail, plan, layers, worker, dz, scratch, spoiled, step)


@compiled
def serve(mail, worker, plan, n):  # type: ignore[no-untyped-def]
    """Worker 0 has all do n updates of the plan at this address, of which 0 ends the others' lives.

    The others' lives: they do what worker 0 says.
    """
    ticket = 0
    while True:
        if worker == 0:
            mail[PLAN], mail[UPDATES] = plan, n
            count(mail, TICKET)
        else:
            ticket += 1
            wait(mail, TICKET, ticket)
        for i in range(mail[UPDATES]):
            update(mail, carray(at(mail[PLAN]), (1,), Plan)[0], worker, i == 0)
        if mail[UPDATES]:
            meet(mail)
        if worker == 0 or mail[UPDATES] == 0:
            return
