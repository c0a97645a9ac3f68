"""Defaults and meanings that differ from Keras's."""

from dnn.keras_names.rows import parse_rows

DIFFERENCES = parse_rows("""
RMSprop.learning_rate Adagrad.learning_rate: 0.01, in Keras 0.001
RMSprop.decay: 0.99, in Keras 0.9 (rho)
RMSprop.epsilon: 1e-08 outside the root, in Keras 1e-07 inside
Adagrad.epsilon: 1e-10 outside the root, in Keras 1e-07 inside
Adagrad.initial_accumulator_value: 0.0, in Keras 0.1
Adam.epsilon: 1e-08 after the bias correction, in Keras 1e-07 before it
AdamW.weight_decay: 0.01, in Keras 0.004
BatchNormalization.momentum: 0.1 of a batch, the variance over N - 1, in Keras 0.99 of the past (0.01), over N
BatchNormalization.epsilon LayerNormalization.epsilon: 1e-05, in Keras 0.001
LeakyReLU.slope: 0.01, in Keras 0.3
RandomRotation.fill_mode RandomTranslation.fill_mode: zeros, in Keras 'reflect'
CSVLogger.epoch EarlyStopping.epoch callback.epoch: counted from 1, in Keras from 0
LearningRateScheduler.epoch: counted on in a second fit, in Keras from 0 again
compile.optimizer: 'adam', in Keras 'rmsprop'
compile.loss: 'categorical_crossentropy', in Keras None, an error
compile.metrics: by the loss, in Keras None, which is () here
fit.batch_size: 100 for arrays, in Keras 32
cosine.final: the last rate, in Keras (alpha) its share of the first
class_weight sample_weight: for a mean over the sum of the weights, in Keras over the number of examples
penalty: left out of the losses that fit and evaluate return, in Keras in them
optimizer_state: new in a loaded model, in Keras as saved: TrainingCheckpoint keeps it
initializer: 'he_uniform' for relu and the like, in Keras 'glorot_uniform'
activation.gelu: approximate, in Keras exact: the layer GELU('none')
activation.leaky_relu: of slope 0.01, in Keras 0.2: the layer LeakyReLU(0.2)
metric.binary_accuracy: of the largest of several outputs, in Keras of each, unless the loss is binary
metric.precision metric.recall: of the largest of several outputs, in Keras of all above 0.5
metric.f1: the mean over three classes or more, in Keras a number for each
class_numbers: one-hot rows for any loss, in Keras only with sparse_categorical_crossentropy
""")
"""What has another default or meaning than in Keras -> ours, and Keras's.

The keys are a class or function with an argument that is left out, or what dnn calls ``note`` with.
"""
