"""Mistakes in functions that all backends and the oracle share.

L4 rejects these, since the textbook training calls none of these functions.
"""

from dnn.agreement.mutants.mutant import Mutant

SHARED_MUTANTS = tuple(mutant._replace(level="L4") for mutant in (
    # Only the first 65,536 of the rows are shuffled.
    Mutant("last-rows-not-shuffled",
           "dnn.random.permutation",
           {"random_integers(backend, key, step, n)":
            "backend.xp.concat([random_integers(backend, key, step, n)[:65536] // 2, "
            "backend.xp.full(max(n - 65536, 0), 1 << 62)])"}),
    # Argmax takes the last of equal numbers.
    Mutant("argmax-takes-last",
           "dnn.metrics._decide", {"xp.argmax(outputs, axis=1)":
                                     "outputs.shape[1] - 1 - xp.argmax(outputs[:, ::-1], axis=1)"}),
    # If there are more than 25 updates, the last one is skipped.
    Mutant("last-update-dropped",
           "backends.backend.Backend.capture", {"range(n)": "range(n - (n > 25))"}),
    # The gradient of weighted examples divided by the batch size, not by the sum of the weights.
    Mutant("weighted-loss-over-batch-size",
           "dnn.losses.apply_weights",
           {"quotient(xp, weights.shape[0], xp.where(total == 0, xp.ones_like(total), total))": "1.0"}),
    # Examples with the ignored class are trained as class 0.
    Mutant("ignored-class-trained-as-0",
           "dnn.inputs.examples.InputPipeline._weights",
           {"self.loss.ignored_class if y.ndim == 1 else None": "None"}),
    # Balanced class_weight divides by the square root of a class's size.
    Mutant("class-weight-square-root",
           "dnn.inputs.examples._class_weights",
           {"(present.sum() * counts[present])": "(present.sum() * counts[present] ** 0.5)"}),
    # A schedule's warm-up skips its first update.
    Mutant("warm-up-one-update-early",
           "dnn.optimizers.schedules.Schedule.rates", {"np.arange(1,": "np.arange(2,"}),
    # A callback sets the rate of the next epoch.
    Mutant("rate-one-epoch-late",
           "dnn.callbacks.LearningRateScheduler.on_epoch_begin", {"epoch - 1": "max(epoch - 2, 0)"}),
    # A plateau reduces the rate only once.
    Mutant("plateau-reduces-once",
           "dnn.callbacks.ReduceLROnPlateau._stalls", {"= self.cooldown": "= 1 << 30"}),
    # A resumed training counts its updates from 0.
    Mutant("resume-counts-from-0",
           "dnn.training.loop.Training._train",
           {"first = state.epoch": "network.optimizer_state.control[3] = 0.0; first = state.epoch"}),
    # A second fit repeats the first fit's order of rows.
    Mutant("second-fit-repeats-the-order",
           "dnn.training.loop.permutation", {"key, step, n)": "key, 2 - step % 2, n)"}),
    # Batch normalisation uses batch statistics in evaluation, too.
    Mutant("batch-statistics-in-evaluation",
           "dnn.layers.normalization.BatchNormalization.forward", {"if training and": "if"}),
    # A frozen batch normalisation uses batch statistics.
    Mutant("frozen-batch-statistics",
           "dnn.layers.normalization.BatchNormalization._uses_batch", {"self.trainable and": ""}),
    # Noise is drawn in evaluation, too.
    Mutant("noise-in-evaluation",
           "dnn.layers.noise.Random.forward",
           {"if not training:": "if self.reserve(x.shape[0], training=True):"}),
    # Images are rotated the other way.
    Mutant("reversed-rotation",
           "dnn.layers.augmentation.RandomRotation.set_warp",
           {"(cosine, -sine), (sine, cosine)": "(cosine, sine), (-sine, cosine)"}),
    # An elastic distortion moves all images alike.
    Mutant("elastic-noise-repeated",
           "dnn.layers.augmentation.RandomElastic.set_warp",
           {"buffers.bits[:, 2:]": "buffers.bits[:1, 2:] + 0 * buffers.bits[:, 2:]"}),
))  # fmt: skip
