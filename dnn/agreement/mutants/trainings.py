"""Mistakes in functions that all backends and the oracle share, and in plans.

L4 rejects these, since the textbook training calls none of these functions. NumPy has no plans, so their
mistakes are in ``run_plan`` of the helpers.
"""

from dnn.agreement.mutants.mutant import parse_mutants

TRAINING_MUTANTS = parse_mutants("""
last-rows-not-shuffled L4 dnn.random.permutation
Only the first 65,536 of the rows are shuffled.
- random_integers(backend, key, counter, n)
+ backend.xp.concat([random_integers(backend, key, counter, n)[:65536] // 2,
+ backend.xp.full(max(n - 65536, 0), 1 << 62)])

argmax-takes-last L4 dnn.metrics._decide
Argmax takes the last of equal numbers.
- xp.argmax(outputs, axis=1)
+ outputs.shape[1] - 1 - xp.argmax(outputs[:, ::-1], axis=1)

last-update-dropped L4 backends.backend.Backend.capture
If there are more than 25 updates, the last one is skipped.
- range(n)
+ range(n - (n > 25))

weighted-loss-over-batch-size L4 dnn.losses.apply_weights
The gradient of weighted examples divided by the batch size, not by the sum of the weights.
- quotient(xp, weights.shape[0], xp.where(total == 0, xp.ones_like(total), total))
+ 1.0

ignored-class-trained-as-0 L4 dnn.inputs.examples.InputPipeline._weights
Examples with the ignored class are trained as class 0.
- self.loss.ignored_class if y.ndim == 1 else None
+ None

class-weight-square-root L4 dnn.inputs.examples._class_weights
Balanced class_weight divides by the square root of a class's size.
- (present.sum() * counts[present])
+ (present.sum() * counts[present] ** 0.5)

warm-up-one-update-early L4 dnn.optimizers.schedules.Schedule.rates
A schedule's warm-up skips its first update.
- np.arange(1,
+ np.arange(2,

rate-one-epoch-late L4 dnn.callbacks.LearningRateScheduler.on_epoch_begin
A callback sets the rate of the next epoch.
- epoch - 1
+ max(epoch - 2, 0)

plateau-reduces-once L4 dnn.callbacks.ReduceLROnPlateau._stalls
A plateau reduces the rate only once.
- = self.cooldown
+ = 1 << 30

resume-counts-from-0 L4 dnn.training.loop.Training._train
A resumed training counts its updates from 0.
- first = state.epoch
+ network.optimizer_state.control[3] = 0.0; first = state.epoch

second-fit-repeats-the-order L4 dnn.training.loop.permutation
A second fit repeats the first fit's order of rows.
- key, counter, n)
+ key, 2 - counter % 2, n)

batch-statistics-in-evaluation L4 dnn.layers.normalization.BatchNormalization.forward
Batch normalisation uses batch statistics in evaluation, too.
- if training and
+ if

frozen-batch-statistics L4 dnn.layers.normalization.BatchNormalization._uses_batch
A frozen batch normalisation uses batch statistics.
- self.trainable and

noise-in-evaluation L4 dnn.layers.noise.Random.forward
Noise is drawn in evaluation, too.
- if not training:
+ if self.reserve(x.shape[0], training=True):

reversed-rotation L4 dnn.layers.augmentation.RandomRotation.set_warp
Images are rotated the other way.
- (cosine, -sine), (sine, cosine)
+ (cosine, sine), (-sine, cosine)

elastic-noise-repeated L4 dnn.layers.augmentation.RandomElastic.set_warp
An elastic distortion moves all images alike.
- buffers.bits[:, 2:]
+ buffers.bits[:1, 2:] + 0 * buffers.bits[:, 2:]

plan-computes-elu-as-relu L4 run_plan
A plan computes elu as relu.
- ACTIVATIONS[layer.activation
+ ACTIVATIONS['relu' if layer.activation == 'elu' else layer.activation

plan-repeats-first-epoch L4 run_plan
A plan keeps the order of rows of its first epoch.
- plan.order[plan.position[0]]
+ vars(update).setdefault('order', plan.order.copy())[plan.position[0]]

plan-drops-the-rest L4 run_plan
A plan skips updates beyond a multiple of 25.
- range(n)
+ range(n - n % 25 if n > 25 else n)

plan-keeps-first-examples L4 run_plan
A second fit trains on the examples of the first.
- x = as_dense(plan.x)
+ x = as_dense(seen.setdefault(plan.x.shape, plan.x))

plan-fills-empty-rows L4 run_plan
An empty row repeats the row before.
- x = as_dense(plan.x)
+ x = as_dense(plan.x); x = x[np.maximum.accumulate(x.any(axis=1) * np.arange(len(x)))]

plan-classes-of-8-bits L4 run_plan
The class numbers of a plan overflow at 256.
- plan.y[index]
+ plan.y[index] % 256

plan-forgets-smoothing L4 run_plan
A plan of sparse examples has no label smoothing.
- plan.label_smoothing
+ plan.label_smoothing * (not isinstance(plan.x, Compressed))

plan-drops-weight-decay L4 run_plan
A plan of AdamW has no weight decay.
- plan.settings
+ plan.settings[:3]

plan-keeps-moments L4 run_plan
A plan does not write the optimizer's moments.
- values, gradient, *slots = plan.vectors
+ values, gradient, *slots = plan.vectors; slots = [slot.copy() for slot in slots]

plan-takes-first-rate L4 run_plan
A plan without Adam takes the first rate of a schedule.
- , last_rate)]
+ , last_rate * (plan.optimizer.__name__ == 'adam'))]
""")
