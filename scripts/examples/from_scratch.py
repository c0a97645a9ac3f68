#!/usr/bin/env python3
"""Train a 784-500-500-10 network on MNIST with nothing but an array library.

Every array operation is in the Python array API standard, so xp may be NumPy, PyTorch, CuPy or
array-api-strict. The network and its training come first; torchvision reads MNIST, from DNN_DATA_DIR or data,
and downloads it if it is missing. docs/one-update.md does one update in numbers.

Symbols: x (B, 784) is a batch of B images, t (B, 10) holds their labels as one-hot rows, W and b are the
weights and biases of a layer, z = x W + b, y = f(z), logits (B, 10) is z of the last layer, L is the loss.
dW, db, dz and dy are the gradients of L with respect to W, b, z and y. Each has the shape of its array.
"""

import argparse
import importlib
import os
import sys

import array_api_compat
import numpy as np

SHAPES = ((784, 500), (500, 500), (500, 10))  # (n_in, n_out) of each W
BATCH_SIZE = 100
LEARNING_RATE = 1e-3


def initialize(rng):
    """Return [W1, b1, W2, b2, W3, b3] as NumPy arrays: W (n_in, n_out) uniform, b (n_out,) zero.

    The limit of W keeps y and dy at one size from layer to layer (Glorot and Bengio 2010, eq. 16).
    """
    params = []
    for n_in, n_out in SHAPES:
        limit = (6 / (n_in + n_out)) ** 0.5
        params.append(rng.uniform(-limit, limit, (n_in, n_out)).astype(np.float32))
        params.append(np.zeros(n_out, dtype=np.float32))
    return params


def activate(xp, activation, z):
    """Return y = f(z)."""
    if activation == "relu":
        return xp.maximum(z, xp.zeros_like(z))
    return 0.5 * (1 + xp.tanh(0.5 * z))  # the sigmoid 1 / (1 + exp(-z)), without overflow


def activation_slope(xp, activation, y):
    """Return f'(z) as a function of y = f(z): 0 or 1 for relu, y (1 - y) for the sigmoid."""
    if activation == "relu":
        return xp.astype(y > 0, y.dtype)
    return y * (1 - y)


def forward(xp, activation, params, x):
    """Return y1 (B, 500), y2 (B, 500) and logits (B, 10)."""
    W1, b1, W2, b2, W3, b3 = params
    y1 = activate(xp, activation, x @ W1 + b1)
    y2 = activate(xp, activation, y1 @ W2 + b2)
    logits = y2 @ W3 + b3
    return y1, y2, logits


def cross_entropy(xp, logits, t):
    """Return the loss L and dlogits (B, 10).

    With p = softmax(logits):  log p_ic = logits_ic - log sum_k exp(logits_ik)
                               L = -1/B sum_i sum_c t_ic log p_ic
    Each row of t sums to 1:   dlogits = (p - t) / B
    """
    B = logits.shape[0]
    shifted = logits - xp.max(logits, axis=1, keepdims=True)  # the same p, and exp cannot overflow
    log_p = shifted - xp.log(xp.sum(xp.exp(shifted), axis=1, keepdims=True))
    loss = -xp.sum(t * log_p) / B
    dlogits = (xp.exp(log_p) - t) / B
    return loss, dlogits


def gradients(xp, activation, params, x, t):
    """Return the loss and [dW1, db1, dW2, db2, dW3, db3].

    Chain rule for z_ij = sum_k x_ik W_kj + b_j, where x is the layer's input:
        dW_kj = sum_i x_ik dz_ij   so dW = x^T dz
        db_j  = sum_i dz_ij        so db is the sum of the rows of dz
        dx_ik = sum_j dz_ij W_kj   so dx = dz W^T
    and for y = f(z):  dz = f'(z) dy
    """
    W2 = params[2]
    W3 = params[4]
    y1, y2, logits = forward(xp, activation, params, x)
    loss, dlogits = cross_entropy(xp, logits, t)
    dy2 = dlogits @ W3.T  # (B, 500)
    dz2 = activation_slope(xp, activation, y2) * dy2
    dy1 = dz2 @ W2.T  # (B, 500)
    dz1 = activation_slope(xp, activation, y1) * dy1
    grads = [
        x.T @ dz1,  # dW1 (784, 500)
        xp.sum(dz1, axis=0),
        y1.T @ dz2,  # dW2 (500, 500)
        xp.sum(dz2, axis=0),
        y2.T @ dlogits,  # dW3 (500, 10)
        xp.sum(dlogits, axis=0),
    ]
    return loss, grads


def adam_update(xp, params, grads, m, v, step, rate, beta1=0.9, beta2=0.999, epsilon=1e-8):
    """Update the lists params, m and v in place (Kingma and Ba 2015, algorithm 1). `step` counts from 1.

    m and v are running means of the gradient and its square. They start at 0, so the first means are too
    small; the division by 1 - beta^step corrects that.
    """
    for i, grad in enumerate(grads):
        m[i] = beta1 * m[i] + (1 - beta1) * grad
        v[i] = beta2 * v[i] + (1 - beta2) * grad * grad
        m_hat = m[i] / (1 - beta1**step)
        v_hat = v[i] / (1 - beta2**step)
        params[i] = params[i] - rate * m_hat / (xp.sqrt(v_hat) + epsilon)


def train(xp, activation, params, x, t, epochs, permute):
    """Train params on the examples x (N, 784) and t (N, 10); yield the mean loss after each epoch.

    permute(N) returns the order of the examples in one epoch. The learning rate falls linearly to 0.
    """
    N = x.shape[0]
    m = [xp.zeros_like(p) for p in params]
    v = [xp.zeros_like(p) for p in params]
    starts = range(0, N, BATCH_SIZE)
    step = 0
    for _ in range(epochs):
        order = permute(N)
        total = 0.0
        for start in starts:
            index = xp.asarray(order[start : start + BATCH_SIZE])
            batch_x = xp.take(x, index, axis=0)
            batch_t = xp.take(t, index, axis=0)
            loss, grads = gradients(xp, activation, params, batch_x, batch_t)
            rate = LEARNING_RATE * (1 - step / (epochs * len(starts)))
            step += 1
            adam_update(xp, params, grads, m, v, step, rate)
            total += float(loss) * index.shape[0]
        yield total / N


def accuracy(xp, activation, params, x, t):
    """Return the share of examples with their largest logit at their label."""
    logits = forward(xp, activation, params, x)[-1]
    right = xp.argmax(logits, axis=1) == xp.argmax(t, axis=1)
    return float(xp.mean(xp.astype(right, x.dtype)))


def read_mnist(data_dir):
    """Return x (60000, 784) from 0 to 1, t (60000, 10), and the same of the 10,000 test images."""
    import torchvision

    arrays = []
    for is_training in (True, False):
        data = torchvision.datasets.MNIST(data_dir, is_training, download=True)
        arrays.append(data.data.numpy().reshape(-1, 784).astype(np.float32) / 255)
        arrays.append(np.eye(10, dtype=np.float32)[data.targets.numpy()])
    return arrays


def main():
    about = "Train a 784-500-500-10 network on MNIST with nothing but an array library."
    formatter = argparse.ArgumentDefaultsHelpFormatter
    parser = argparse.ArgumentParser(description=about, formatter_class=formatter)
    libraries = ("numpy", "torch", "cupy", "array_api_strict")
    parser.add_argument("--library", choices=libraries, default="numpy", help="array library")
    parser.add_argument("--activation", choices=("relu", "sigmoid"), default="relu", help="hidden layers' f")
    parser.add_argument("--epochs", type=int, default=10, help="passes over the training images")
    options = parser.parse_args()
    if options.epochs < 1:
        parser.error(f"--epochs is {options.epochs}, expected an integer of at least 1")
    try:
        xp = array_api_compat.array_namespace(importlib.import_module(options.library).zeros(1))
    except (ImportError, RuntimeError) as error:  # not installed, or no GPU
        parser.error(f"--library {options.library} cannot run here: {error}; use --library numpy")
    data_dir = os.environ.get("DNN_DATA_DIR") or "data"
    try:
        x, t, x_test, t_test = map(xp.asarray, read_mnist(data_dir))
    except Exception as error:  # files and downloads fail in many ways
        reason = " ".join(str(error).split())
        cure = "set DNN_DATA_DIR to a folder that holds MNIST/raw with the four files"
        parser.error(f"torchvision cannot read MNIST from {data_dir}: {reason}; {cure}")
    rng = np.random.default_rng(0)
    params = [xp.asarray(p) for p in initialize(rng)]
    losses = train(xp, options.activation, params, x, t, options.epochs, rng.permutation)
    for epoch, loss in enumerate(losses, 1):
        right = accuracy(xp, options.activation, params, x_test, t_test)
        print(f"epoch {epoch}: loss {loss:.4f}, test accuracy {right:.4f}", flush=True)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        print(f"{os.path.basename(sys.argv[0])}: interrupted", file=sys.stderr)
        sys.exit(130)
