"""Mistakes in the kernels of layers, of random streams and of rows by index."""

from dnn.agreement.mutants.mutant import Mutant

PRODUCT_KERNELS = "dense,conv2d,dense_backward,conv2d_backward"

LAYER_MUTANTS: tuple[Mutant, ...] = (
    # Factors of products rounded to 10 bits, as tensor cores may.
    Mutant("tf32",
           PRODUCT_KERNELS, {"product(": "rounded_product(round_tf32, "}, "L1"),
    # Factors of products cast to float16 and back.
    Mutant("float16",
           PRODUCT_KERNELS, {"product(": "rounded_product(round_float16, "}, "L1"),
    # A dense layer's products added before they are rounded.
    Mutant("fused-multiply-add",
           "dense", {" -> None:": " -> None:\n    z[...] = fused_product(x, W) + b\n    return"}, "bits"),
    # dx = dz W instead of dz W^T if W is square, so that the shapes fit.
    Mutant("transposed-weight",
           "dense_backward", {"W.T": "(W if W.shape[0] == W.shape[1] else W.T)"}, "L1"),
    # A convolution's kernel flipped, forward and backward, which no gradient check detects.
    Mutant("flipped-kernel",
           "conv2d,conv2d_backward",
           {"views[part]": "views[part][..., ::-1, ::-1, :]", "W[i, j,": "W[-1 - i, -1 - j,"}),
    # The running variance divided by N, as in Keras.
    Mutant("biased-variance",
           "batch_norm", {"momentum * n / (n - 1)": "momentum"}),
    # E[x^2] - E[x]^2 in batch normalisation.
    Mutant("naive-variance", "batch_norm",
           {"variance + epsilon": "xp.maximum(xp.mean(x * x, axis=0) - mean**2, 0.0) + epsilon"}, "L1"),
    # Dropout's limit off by one in the first number of a pair, upwards.
    Mutant("dropout-limit-off-by-one",
           "dropout", {"(bits >> 32) >= limit": "(bits >> 32) >= limit - 1"}),
    # Dropout's rate clipped to 0.1 and 0.9.
    Mutant("rates-clipped",
           "dropout", {"round(rate": "round(min(max(rate, 0.1), 0.9)"}),
    # A dense layer leaves the rows of a remainder by the threads.
    Mutant("rows-beyond-the-threads",
           "dense", {"product(x, W, z)":
                     "z = z[: len(z) - len(z) % section_threads()]; product(x[: len(z)], W, z)"}),
    # Softmax of more than 64 numbers adds only the first 64.
    Mutant("softmax-of-64",
           "activation", {"super().activation(name, z, y)":
                          "super().activation(name, z, y); "
                          "y /= y[:, :64].sum(axis=1)[:, None] if name == 'softmax' else 1.0"}),
    # Max pooling of a window of -inf points to pixel 0.
    Mutant("index-of-minus-infinity", "max_pool2d", {"numbers[places[0]]": "0"}),
    # The place of a maximum overflows at 32,768.
    Mutant("index-of-16-bits", "max_pool2d",
           {"numbers[place],": "xp.astype(numbers[place], xp.int16),"}),
    # An average of more than 256 pixels divides by 256.
    Mutant("average-of-256-pixels",
           "average_pool2d", {"total /": "total * max(size[0] * size[1] / 256, 1.0) /"}),
    # Initial weights have half of He's or Glorot's variance.
    Mutant("halved-initial-variance",
           "dnn.layers.dense.Affine.initial_values", {"draw(key, shape)": "0.5**0.5 * draw(key, shape)"}),
    # A convolution computes float64 in float32.
    Mutant("half-precision-in-float64",
           "conv2d", {"out=out": "out=out); out[...] = out.astype(np.float32"}),
    # Layer normalisation takes its default for an epsilon of 0.
    Mutant("epsilon-0-is-1e-5",
           "layer_norm", {"+ epsilon": "+ (epsilon or 1e-5)"}),
    # A convolution's gradient takes the first images with this shape.
    Mutant("images-kept",
           "conv2d_backward", {"pad(np, x,": "pad(np, seen.setdefault(x.shape, x.copy()),"}),
    # The same dropout mask and the same order of rows in every step.
    Mutant("repeated-mask",
           "threefry", {"high.astype": "(0 * high).astype"}),
    # Random numbers repeat after 2^20.
    Mutant("counters-of-20-bits",
           "threefry", {"low.astype": "(low % 2**20).astype"}),
    # Rows with equal indices: the last one instead of their sum (an embedding's gradient).
    Mutant("lost-duplicates",
           "scatter_rows", {"np.add.at(out, index, rows)": "out[index] = rows"}),
    # Bytes are always divided by 255.
    Mutant("bytes-divided-by-255",
           "gather_rows", {"rows[index], scale": "rows[index], 1 / 255 if rows.dtype.kind == 'u' else scale",
                           "scale == 1.0": "rows.dtype.kind != 'u' and scale == 1.0"}),
)  # fmt: skip
