"""Mistakes in the kernels of layers, of random streams and of rows by index."""

from dnn.agreement.mutants.mutant import Mutant

PRODUCT_KERNELS = "dense,conv2d,dense_backward,conv2d_backward"

LAYER_MUTANTS: tuple[Mutant, ...] = (
    Mutant("tf32", "factors of products rounded to 10 bits, as tensor cores may", "L1",
           PRODUCT_KERNELS, {"product(": "tf32_product("}),
    Mutant("float16", "factors of products cast to float16 and back", "L1",
           PRODUCT_KERNELS, {"product(": "float16_product("}),
    Mutant("fused-multiply-add", "a dense layer's products added before they are rounded", "bits",
           "dense", {"self.activation(": "y[...] = fused_product(x, W) + b; self.activation("}),
    Mutant("transposed-weight",
           "dx = dz W instead of dz W^T if W is square, so that the shapes fit", "L1",
           "dense_backward", {"W.T": "(W if W.shape[0] == W.shape[1] else W.T)"}),
    Mutant("rows-beyond-a-multiple-of-4-lost", "the last rows of a batch are missing in dW", "L0",
           "dense_backward", {"product(x.T, dz, dW)": "n = len(x) // 4 * 4; product(x[:n].T, dz[:n], dW)"}),
    Mutant("flipped-kernel",
           "a convolution's kernel flipped, forward and backward, which no gradient check detects", "L0",
           "conv2d,conv2d_backward",
           {"views[part]": "views[part][..., ::-1, ::-1, :]", "W[i, j]": "W[-1 - i, -1 - j]"}),
    Mutant("biased-variance", "the running variance divided by N, as in Keras", "L0",
           "batch_norm", {"momentum * n / (n - 1)": "momentum"}),
    Mutant("naive-variance", "E[x^2] - E[x]^2 in batch normalisation", "L1", "batch_norm",
           {"variance + epsilon": "xp.maximum(xp.mean(x * x, axis=0) - mean**2, 0.0) + epsilon"}),
    Mutant("dropout-limit-off-by-one",
           "dropout's limit off by one in the first number of a pair, upwards", "L0",
           "dropout", {"(bits >> 32) >= limit": "(bits >> 32) >= limit - 1"}),
    Mutant("rates-clipped", "dropout's rate clipped to 0.1 and 0.9", "L0",
           "dropout", {"round(rate": "round(min(max(rate, 0.1), 0.9)"}),
    Mutant("row-beyond-1000", "a dense layer leaves rows from the 1001st on unwritten", "L0",
           "dense", {"product(x, W, y)": "y = y[:1000]; product(x[:1000], W, y)"}),
    Mutant("rows-beyond-the-threads", "a dense layer leaves the rows of a remainder by the threads", "L0",
           "dense", {"product(x, W, y)":
                     "y = y[: len(y) - len(y) % section_threads()]; product(x[: len(y)], W, y)"}),
    Mutant("inputs-beyond-1024-lost", "a dense layer ignores inputs from the 1025th on", "L0",
           "dense", {"product(x, W, y)": "product(x[:, :1024], W[:1024], y)"}),
    Mutant("zero-times-nan-is-0", "a dense layer skips inputs that are 0 in all rows", "L0",
           "dense", {"product(x, W, y)": "product(x[:, x.any(axis=0)], W[x.any(axis=0)], y)"}),
    Mutant("relu-hides-nan", "a dense layer with relu turns NaN into 0", "L0",
           "dense", {"self.activation(":
                     "np.fmax(y, 0.0, out=y) if activation == 'relu' else self.activation("}),
    Mutant("softmax-of-64", "softmax of more than 64 numbers adds only the first 64", "L0",
           "activation", {"super().activation(name, z, y)":
                          "super().activation(name, z, y); "
                          "y /= y[:, :64].sum(axis=1)[:, None] if name == 'softmax' else 1.0"}),
    Mutant("ninth-channel-lost", "a convolution ignores channels beyond a multiple of 8", "L0",
           "conv2d,conv2d_backward",
           {"pad(np, x,": "pad(np, x * (np.arange(x.shape[3]) < (x.shape[3] // 8 * 8 or 8)),"}),
    Mutant("index-of-minus-infinity", "max pooling of a window of -inf points to pixel 0", "L0",
           "max_pool2d", {"xp.maximum(down, zero) * width + xp.maximum(across, xp.zeros_like(across))": "0"}),
    Mutant("index-of-16-bits", "the place of a maximum overflows at 32,768", "L0", "max_pool2d",
           {"(down + i) * width + (across + j)": "xp.astype((down + i) * width + (across + j), xp.int16)"}),
    Mutant("average-of-256-pixels", "an average of more than 256 pixels divides by 256", "L0",
           "average_pool2d", {"total /": "total * max(size[0] * size[1] / 256, 1.0) /"}),
    Mutant("half-precision-in-float64", "layer normalisation computes float64 in float32", "L0",
           "layer_norm", {"y[...] = centered": "y[...] = xp.astype(centered, xp.float32)"}),
    Mutant("repeated-mask", "the same dropout mask and the same order of rows in every step", "L0",
           "threefry", {"_part(high, block)": "0 * _part(high, block)"}),
    Mutant("counters-of-20-bits", "random numbers repeat after 2^20", "L0",
           "threefry", {"_part(low, block)": "_part(low, block) % 2**20"}),
    Mutant("lost-duplicates",
           "rows with equal indices: the last one instead of their sum (an embedding's gradient)", "L0",
           "scatter_rows", {"np.add.reduceat(rows[order], starts, axis=0)":
                            "rows[order[[*starts[1:] - 1, -1]]]"}),
    Mutant("batch-beyond-65536-lost", "a batch loses its numbers from the 65,537th on", "L0",
           "gather_rows", {"out[...] = batch if scale == 1.0 else batch * scale":
                           "out.reshape(-1)[:65536] = (batch * scale).reshape(-1)[:65536]"}),
    Mutant("bytes-divided-by-255", "bytes are always divided by 255", "L0",
           "gather_rows", {"batch * scale": "batch / 255 if rows.dtype.kind == 'u' else batch * scale",
                           "scale == 1.0": "rows.dtype.kind != 'u' and scale == 1.0"}),
)  # fmt: skip
