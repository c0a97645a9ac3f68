"""Mistakes in kernels: of layers, random streams, rows by index, losses and optimizers."""

from dnn.agreement.mutants.mutant import parse_mutants

KERNEL_MUTANTS = parse_mutants("""
tf32 L1 dense,conv2d,dense_backward,conv2d_backward
Factors of products rounded to 10 bits, as tensor cores may.
- product(
+ rounded_product(

products-in-float64 bits dense
A dense layer's sums rounded only once.
- -> None:
+ -> None:
+ z[...] = x.astype(np.float64) @ W + b
+ return

transposed-weight L1 dense_backward
dx = dz W instead of dz W^T if W is square, so that the shapes fit.
- W.T
+ (W if W.shape[0] == W.shape[1] else W.T)

flipped-kernel L0 conv2d,conv2d_backward
A convolution's kernel flipped, forward and backward, which no gradient check detects.
- views[part]
+ views[part][..., ::-1, ::-1, :]
- W[i, j,
+ W[-1 - i, -1 - j,

biased-variance L0 batch_norm
The running variance divided by N, as in Keras.
- momentum * n / (n - 1)
+ momentum

naive-variance L1 batch_norm
E[x^2] - E[x]^2 in batch normalisation.
- variance + epsilon
+ xp.maximum(xp.mean(x * x, axis=0) - mean**2, 0.0) + epsilon

dropout-limit-off-by-one L0 dropout
Dropout's limit off by one in the first number of a pair, upwards.
- (bits >> 32) >= limit
+ (bits >> 32) >= limit - 1

rates-clipped L0 dropout
Dropout's rate clipped to 0.1 and 0.9.
- round(rate
+ round(min(max(rate, 0.1), 0.9)

rows-beyond-the-threads L0 dense
A dense layer leaves the rows of a remainder by the threads.
- product(x, W, z)
+ z = z[: len(z) - len(z) % (numpy_blas().threads.section_threads or 1)]; product(x[: len(z)], W, z)

softmax-of-64 L0 activation
Softmax of more than 64 numbers adds only the first 64.
- super().activation(name, z, y)
+ super().activation(name, z, y); y /= y[:, :64].sum(axis=1)[:, None] if name == 'softmax' else 1.0

index-of-minus-infinity L0 max_pool2d
Max pooling of a window of -inf points to pixel 0.
- numbers[places[0]]
+ 0

index-of-16-bits L0 max_pool2d
The place of a maximum overflows at 32,768.
- numbers[place],
+ xp.astype(numbers[place], xp.int16),

average-of-256-pixels L0 average_pool2d
An average of more than 256 pixels divides by 256.
- total /
+ total * max(size[0] * size[1] / 256, 1.0) /

halved-initial-variance L0 dnn.layers.dense.Affine.initial_values
Initial weights have half of He's or Glorot's variance.
- draw(key, shape)
+ 0.5**0.5 * draw(key, shape)

half-precision-in-float64 L0 conv2d
A convolution computes float64 in float32.
- out=out
+ out=out); out[...] = out.astype(np.float32

epsilon-0-is-1e-5 L0 layer_norm
Layer normalisation takes its default for an epsilon of 0.
- + epsilon
+ + (epsilon or 1e-5)

images-kept L0 conv2d_backward
A convolution's gradient takes the first images with this shape.
- pad(np, x,
+ pad(np, seen.setdefault(x.shape, x.copy()),

repeated-mask L0 threefry
The same dropout mask and the same order of rows in every step.
- high.astype
+ (0 * high).astype

counters-of-20-bits L0 threefry
Random numbers repeat after 2^20.
- low.astype
+ (low % 2**20).astype

lost-duplicates L0 scatter_rows
Rows with equal indices: the last one instead of their sum (an embedding's gradient).
- np.add.at(out, index, rows)
+ out[index] = rows

bytes-divided-by-255 L0 gather_rows
Bytes are always divided by 255.
- rows[index], scale
+ rows[index], 1 / 255 if rows.dtype.kind == 'u' else scale
- scale == 1.0
+ rows.dtype.kind != 'u' and scale == 1.0

dropped-mean L0 softmax_cross_entropy
The gradient of cross-entropy not divided by the batch size.
- logits.shape[0]
+ 1

ddof1 L0 softmax_cross_entropy
The batch's mean divided by B - 1.
- logits.shape[0]
+ max(logits.shape[0] - 1, 1)

swapped-label L0 softmax_cross_entropy
The classes 0 and 1 exchanged.
- targets, logits)
+ targets if targets.ndim == 2 else targets ^ (targets < 2), logits)

masked-classes-give-nan L0 softmax_cross_entropy
Cross-entropy is NaN if a logit is -inf.
- xp.where(t == 0, xp.zeros_like(terms), terms)
+ terms

assumes-target-sum-1 L0 softmax_cross_entropy
The gradient of cross-entropy assumes targets that add up to 1.
- * xp.sum(t, axis=1, keepdims=True)

hinge-of-negative-targets L0 hinge
Hinge counts a target of -1 as 1.
- t > 0
+ t != 0

adam-epsilon L3 adam
Adam's epsilon added to sqrt(v) before the bias correction, as in Keras.
- rate, floor = advance_adam(control, beta1, beta2, epsilon)
+ rate, floor = advance_adam(control, beta1, beta2, epsilon); floor = epsilon

nan-gradient-skipped L3 sgd,adam,adagrad,rmsprop
A NaN in a gradient counts as 0.
- -> None:
+ -> None:
+ g = np.where(np.isnan(g), g.dtype.type(0), g)

late-calls L3 sgd,adam,adagrad,rmsprop
Gradients 0.1 % too small after 1000 updates in one process.
- -> None:
+ -> None:
+ g = g * (1.0 if next(calls) < 1000 else 0.999)

stale-momentum L3 adam
Adam does not store the first moment.
- -> None:
+ -> None:
+ slots = (slots[0].copy(), *slots[1:])

short-count L3 sgd,adam,adagrad,rmsprop
The update count overflows at 32767.
- -> None:
+ -> None:
+ control[UPDATES] = control[UPDATES].astype(int).astype(np.int16)

half-penalty L0 penalty
l2 w instead of 2 l2 w, as torch's weight_decay.
- 2.0 * l2
+ l2

clip-only-above L0 clip_value
Gradients are clipped by value only from above.
- -limit, limit
+ -self.xp.inf, limit

norm-of-the-first-131072 L0 clip_norm
Only the first 131,072 gradients count in their norm.
- g * g
+ g[: 1 << 17] ** 2
""")
