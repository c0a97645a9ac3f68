"""Mistakes in functions that all backends and the oracle share.

L0 and L4 reject these, since none of these functions computes what they expect.
"""

from dnn.agreement.mutants.mutant import Mutant

SHARED_MUTANTS: tuple[Mutant, ...] = (
    Mutant("last-rows-not-shuffled", "only the first 65,536 of the rows are shuffled", "L4",
           "dnn.random.permutation",
           {"random_integers(backend, key, step, n)":
            "backend.xp.concat([random_integers(backend, key, step, n)[:65536] // 2, "
            "backend.xp.full(max(n - 65536, 0), 1 << 62)])"}),
    Mutant("halved-initial-variance", "initial weights have half of He's or Glorot's variance", "L0",
           "dnn.layers.dense.Affine.initial_values", {"draw(key, shape)": "0.5**0.5 * draw(key, shape)"}),
    Mutant("argmax-takes-last", "argmax takes the last of equal numbers", "L4",
           "dnn.metrics._accuracy", {"xp.argmax(outputs, axis=1)":
                                     "outputs.shape[1] - 1 - xp.argmax(outputs[:, ::-1], axis=1)"}),
    Mutant("last-update-dropped", "the last update of more than 25 is skipped", "L4",
           "backends.backend.Backend.capture", {"range(n)": "range(n - (n > 25))"}),
    Mutant("weighted-loss-over-batch-size",
           "the gradient of weighted examples divided by the batch size, not by the sum of the weights", "L4",
           "dnn.losses.apply_weights",
           {"quotient(xp, weights.shape[0], xp.where(total == 0, xp.ones_like(total), total))": "1.0"}),
    Mutant("zero-weights-give-nan", "0 / 0 in a batch with only zero weights", "L4",
           "dnn.losses.apply_weights", {"xp.where(total == 0, xp.ones_like(total), total)": "total"}),
    Mutant("ignored-class-trained-as-0", "examples with the ignored class are trained as class 0", "L4",
           "dnn.validation.examples.InputPipeline._weights",
           {"self.loss.ignored_class if y.ndim == 1 else None": "None"}),
    Mutant("class-weight-square-root",
           "class_weight balanced divides by the square root of a class's size", "L4",
           "dnn.validation.examples._class_weights",
           {"(present.sum() * counts[present])": "(present.sum() * counts[present] ** 0.5)"}),
    Mutant("warm-up-one-update-early", "a schedule's warm-up skips its first update", "L4",
           "dnn.optimizers.schedules.Schedule.rates", {"np.arange(1,": "np.arange(2,"}),
    Mutant("rate-one-epoch-late", "a callback sets the rate of the next epoch", "L4",
           "dnn.callbacks.LearningRateScheduler.on_epoch_begin", {"epoch - 1": "max(epoch - 2, 0)"}),
    Mutant("plateau-reduces-once", "a plateau reduces the rate only once", "L4",
           "dnn.callbacks.ReduceLROnPlateau._stalls", {"= self.cooldown": "= 1 << 30"}),
    Mutant("resume-counts-from-0", "a resumed training counts its updates from 0", "L4",
           "dnn.training.state.restore",
           {"    return history": "    model.optimizer_state.control[3] = 0.0\n    return history"}),
    Mutant("second-fit-repeats-the-order", "the first epoch of each fit has the same order of rows", "L4",
           "dnn.training.loop.permutation", {"key, step, n)": "key, 2 - step % 2, n)"}),
    Mutant("batch-statistics-in-evaluation",
           "batch normalisation uses batch statistics in evaluation, too", "L4",
           "dnn.layers.normalization.BatchNormalization.forward", {"if training and": "if"}),
    Mutant("frozen-batch-statistics", "a frozen batch normalisation uses batch statistics", "L4",
           "dnn.layers.normalization.BatchNormalization._uses_batch", {"self.trainable and": ""}),
    Mutant("noise-in-evaluation", "noise is drawn in evaluation, too", "L4",
           "dnn.layers.noise.Random.forward",
           {"if not training:": "if self.reserve(x.shape[0], training=True):"}),
    Mutant("reversed-rotation", "images are rotated the other way", "L4",
           "dnn.layers.augmentation.RandomRotation.set_warp",
           {"(cosine, -sine), (sine, cosine)": "(cosine, sine), (-sine, cosine)"}),
    Mutant("elastic-noise-repeated", "an elastic distortion moves all images alike", "L4",
           "dnn.layers.augmentation.RandomElastic.set_warp",
           {"buffers.bits[:, 2:]": "buffers.bits[:1, 2:] + 0 * buffers.bits[:, 2:]"}),
)  # fmt: skip
