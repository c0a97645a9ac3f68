"""Names and arguments of other libraries that have another name here, or none: what to use instead."""


def parse_rows(text: str) -> dict[str, str]:
    """Return name -> cure for lines of "name name ...: cure"."""
    rows = [line.split(": ", 1) for line in text.strip().splitlines()]
    return {name: cure for names, cure in rows for name in names.split()}


REPLACEMENTS = {
    "model": parse_rows("""
add pop: all layers in the list of Sequential([...])
build build_from_config from_config get_build_config: Sequential([Input(shape), ...])
test_on_batch test_step make_test_function get_metrics_result compute_metrics: model.evaluate(x, y)
predict_on_batch predict_step predict_proba call make_predict_function: model.predict(x)
predict_classes: model.predict(x).argmax(axis=1), or with one output model.predict(x) > 0.5
train_step make_train_function compute_loss: model.gradients(x, y) and model.update() in a loop
fit_generator: model.fit(batches, steps_per_epoch=...)
get_weights: list(model.parameters.to_host().values()), or by name without list
set_weights: model.parameters.load(dict(zip(model.parameters.to_host(), weights))), arrays of the dtype here
state_dict: model.parameters.to_host(), a dict for model.parameters.load
load_state_dict: model.parameters.load(values), a dict as model.parameters.to_host() returns it
weights variables named_parameters: model.parameters.by_name, arrays by name
trainable_weights trainable_variables: model.parameters.by_name without model.frozen_names
non_trainable_weights non_trainable_variables: model.parameters.state, and model.frozen_names of by_name
buffers: model.parameters.state, arrays by name
save_weights: model.save(path)
load_weights: dnn.checkpoints.load_weights(model, path) of a file that model.save wrote
get_config to_json get_compile_config: model.config()
export: dnn export, or dnn.interop.onnx
trainable requires_grad_: layer.trainable of each layer
to cuda: get_backend('torch', 'cuda') for a new model
train eval: nothing: fit trains, evaluate and predict do not
zero_grad: nothing: each call of model.gradients overwrites the gradients
reset_metrics reset_states: nothing: each epoch begins with new sums
score: model.evaluate(x, y).accuracy
count_params: model.parameters.count
history: the History that fit returns
metrics_names: model.evaluate(x, y).as_dict()
add_loss: a loss of your own in compile
losses: nothing: reported losses exclude the penalty of model.compile(l1=, l2=)
add_metric: metrics= of compile
add_weight add_variable: parameter_shapes() of a layer of your own
input inputs input_spec: model.input_shape
output output_shape: model.outputs
dtype dtype_policy compute_dtype variable_dtype: model.backend.dtype_name
quantize: a backend with another dtype
name: nothing: models have no names
"""),
    "layer": parse_rows("""
weights variables trainable_weights trainable_variables parameters state_dict: layer.value, arrays by name
get_weights: [a for n, a in model.parameters.to_host().items() if n.startswith(layer.name + '.')]
set_weights: layer.value[name][...] = array
kernel weight: layer.value['W']
bias: layer.value['b']
non_trainable_weights moving_mean moving_variance running_mean running_var: layer.state, arrays by name
count_params: model.summary()
get_config: layer.config()
kw kwargs: nothing: __init__ takes each argument by name, without **, and calls super().__init__(name)
call: layer.forward(x)
input: layer.input_shape
output: layer.output_shape
add_weight: parameter_shapes()
compute_output_shape: layer.shape_after(input_shape)
dtype: layer.backend.dtype_name
"""),
    "module": parse_rows("""
validation: dnn.settings and dnn.inputs; a pickle of before this change is read by that version
LambdaCallback RemoteMonitor CallbackList: a subclass of Callback
BackupAndRestore OrbaxCheckpoint: dnn.callbacks.TrainingCheckpoint
ProgbarLogger Progbar: fit(verbose=1)
SwapEMAWeights: a schedule that decays to 0, such as LinearDecay
Model Functional Function: Sequential; Residual, Parallel, or PyTorch for other graphs
Add add: Residual; Parallel, or PyTorch for other graphs
Concatenate concatenate: Parallel; Residual, or PyTorch for other graphs
Multiply multiply Average average Subtract subtract Maximum maximum Minimum minimum Dot dot Identity \
Wrapper Pipeline: Residual, Parallel, or PyTorch for other graphs
Lambda Permute RepeatVector Masking ThresholdedReLU ActivityRegularization UnitNormalization \
RMSNormalization SpectralNormalization EinsumDense TorchModuleWrapper JaxLayer FlaxLayer TFSMLayer \
: a subclass of Layer with forward and backward
ReLU: Activation('relu')
Softmax: Activation('softmax')
PReLU: LeakyReLU(slope)
Normalization normalize: x = (x - x.mean(axis=0)) / x.std(axis=0) before fit and predict
InputLayer InputSpec KerasTensor: Input(shape)
ZeroPadding1D ZeroPadding2D: padding= of Conv2D and Conv1D
RandomZoom RandomShear RandomPerspective: RandomElastic(0, scale=, shear=)
SpatialDropout1D SpatialDropout2D SpatialDropout3D: Dropout, of single numbers in place of channels
AlphaDropout: Dropout, which keeps the mean but not the variance
GaussianDropout: GaussianNoise, which is added, not multiplied
GroupNormalization: LayerNormalization, of the channels of each pixel in place of a group in all pixels
RandomFlip RandomCrop RandomContrast RandomBrightness RandomErasing RandomHue RandomSaturation \
RandomSharpness RandomGrayscale RandomInvert RandomPosterization RandomColorJitter \
RandomColorDegeneration RandomGaussianBlur RandAugment MixUp CutMix AugMix AutoContrast Equalization \
Solarization CenterCrop MaxNumBoundingBoxes: a generator of batches
Resizing: load_image_folder(size=)
Cropping1D Cropping2D Cropping3D: slices of the images
SeparableConv1D SeparableConv2D: Conv2D(n, size, groups=n) and Conv2D(filters, 1)
DepthwiseConv1D DepthwiseConv2D: Conv2D(filters, size, groups=channels)
SimpleRNN LSTM GRU RNN Bidirectional TimeDistributed SimpleRNNCell LSTMCell GRUCell StackedRNNCells \
ConvLSTM1D ConvLSTM2D ConvLSTM3D: PyTorch, or Conv1D
Conv3D Conv1DTranspose Conv2DTranspose Conv3DTranspose UpSampling1D UpSampling2D UpSampling3D \
ZeroPadding3D MaxPooling3D AveragePooling3D GlobalAveragePooling3D GlobalMaxPooling3D Attention \
AdditiveAttention MultiHeadAttention GroupQueryAttention MelSpectrogram STFTSpectrogram constraints \
distribution quantizers Quantizer CTC: PyTorch
GlobalAveragePooling1D: AveragePooling1D of all steps, and Flatten()
GlobalMaxPooling1D: MaxPooling1D of all steps, and Flatten()
TextVectorization: TfidfVectorizer of scikit-learn
CategoryEncoding Hashing HashedCrossing FeatureSpace: OneHotEncoder of scikit-learn
Discretization: numpy.digitize
StringLookup IntegerLookup: numpy.unique(x, return_inverse=True)
Huber LogCosh Poisson CosineSimilarity Circle Dice Tversky MeanAbsolutePercentageError \
MeanSquaredLogarithmicError CategoricalFocalCrossentropy CategoricalGeneralizedCrossEntropy LogCoshError \
: MeanAbsoluteError, or a subclass of dnn.losses.Loss
KLDivergence: CategoricalCrossentropy, larger by the entropy of the targets, with the same gradients
SquaredHinge CategoricalHinge: Hinge
BinaryFocalCrossentropy: BinaryCrossentropy(pos_weight=)
Reduction: the mean over the batch
Nadam Adamax Adadelta Lion Ftrl Adafactor Muon Lamb LossScaleOptimizer: Adam or AdamW
ExponentialDecay: StepDecay(initial, steps, 1, decay_rate ** (1 / decay_steps)), steps of the whole training
PiecewiseConstantDecay InverseTimeDecay: a subclass of Schedule with curve
PolynomialDecay: LinearDecay
CosineDecayRestarts CosineAnnealingLR: CosineDecay
LearningRateSchedule: Schedule
StepLR MultiStepLR ExponentialLR: StepDecay(rate, steps, every, gamma) as learning_rate=, \
where steps and every count updates, not epochs
OneCycleLR: OneCycle
LambdaLR: LearningRateScheduler
AUC auc roc_auc: the callback Score('auc', sklearn.metrics.roc_auc_score, x, y) of dnn.callbacks
F1Score: 'f1' or 'f1_macro' in metrics=
FBetaScore: sklearn.metrics.fbeta_score
Precision: 'precision' or 'precision_macro' in metrics=
Recall: 'recall' or 'recall_macro' in metrics=
IoU BinaryIoU MeanIoU OneHotIoU OneHotMeanIoU: sklearn.metrics.jaccard_score
TruePositives TrueNegatives FalsePositives FalseNegatives: sklearn.metrics.confusion_matrix
PrecisionAtRecall RecallAtPrecision: sklearn.metrics.precision_recall_curve
SensitivityAtSpecificity SpecificityAtSensitivity: sklearn.metrics.roc_curve
TopKCategoricalAccuracy SparseTopKCategoricalAccuracy top_k_categorical_accuracy \
sparse_top_k_categorical_accuracy top_k_accuracy: the callback \
Score('top_5', functools.partial(sklearn.metrics.top_k_accuracy_score, k=5), x, y) of dnn.callbacks
Accuracy BinaryAccuracy CategoricalAccuracy SparseCategoricalAccuracy: 'accuracy'
R2Score: 'r2'
Mean Sum RootMeanSquaredError MeanMetricWrapper ConcordanceCorrelation PearsonCorrelation \
: a function of (y, outputs) in metrics=
regularizers Regularizer: model.compile(l1=, l2=)
initializers Initializer: initializer= of a layer, such as 'he_normal'
activations: activations by name
applications: from_torch of an nn.Sequential; its layers must exist here
preprocessing text_dataset_from_directory audio_dataset_from_directory timeseries_dataset_from_directory \
: load_image_folder and pandas.read_csv
ops Variable Operation: model.backend.xp, the array API
backend set_backend config device tree name_scope: Sequential(..., backend=), one for each model
saving: dnn.load_model and dnn.save_model
mixed_precision dtype_policies DTypePolicy FloatDTypePolicy standardize_dtype: get_backend(name, dtype=)
schedules lr_scheduler: dnn.optimizers.schedules
set_random_seed manual_seed SeedGenerator: Sequential(..., seed=)
plot_model model_to_dot: model.summary()
clear_session: nothing: no state is global
clone_model: copy.deepcopy(model)
image_dataset_from_directory \
: x, y, classes = dnn.datasets.load_image_folder(path, size), and model.fit(x, y, batch_size)
load_img img_to_array array_to_img save_img: dnn.datasets.load_image(path, size)
split_dataset: validation_split= of fit
get_file: dnn.datasets.fetch
pad_sequences: numpy.pad
PyDataset Sequence: a class with __len__ and __getitem__
wrappers: dnn.interop.sklearn
register_keras_serializable get_custom_objects custom_object_scope CustomObjectScope: dnn.register
cifar10 cifar100: torchvision.datasets
imdb reuters boston_housing california_housing: pandas.read_csv, or your own arrays
Module: Sequential, or a subclass of Layer
Linear: Dense; BatchNorm1d is BatchNormalization, ReLU Activation('relu')
Conv1d: Conv1D
Conv2d: Conv2D
MaxPool2d: MaxPooling2D
AvgPool2d: AveragePooling2D
BatchNorm1d BatchNorm2d: BatchNormalization
LayerNorm: LayerNormalization
nn: dnn.layers and dnn.losses
CrossEntropyLoss: CategoricalCrossentropy
NLLLoss nll nll_loss: CategoricalCrossentropy after Dense(C, 'softmax')
LogSoftmax log_softmax: 'softmax' with the loss 'categorical_crossentropy', and numpy.log of predict
MSELoss: MeanSquaredError
optim: dnn.optimizers
L1Loss: MeanAbsoluteError
BCEWithLogitsLoss BCELoss: BinaryCrossentropy
DataLoader: model.fit(batches)
"""),
    "argument": parse_rows("""
clipnorm: use clip_norm=, a limit on the norm of all gradients together
factor: use degrees=, which is 360 times Keras's factor
height_factor width_factor: use pixels=, for both axes
input_shape input_dim in_features in_channels \
: give Sequential the shape: Sequential(layers, input_shape=shape)
batch_size: leave it out: any batch size fits
dtype autocast: leave it out: get_backend(name, dtype=) determines it
bias_initializer: leave it out: biases start at 0
kernel_regularizer activity_regularizer embeddings_regularizer: use model.compile(l1=, l2=)
bias_regularizer beta_regularizer gamma_regularizer: leave it out: only weights are penalised
trainable: set layer.trainable = False
dilation_rate: use Conv2D(dilation=) on images of one row
data_format: leave it out: images are (H, W, C)
seed: leave it out: Sequential(seed=) determines all random numbers
axis: leave it out: it is the last axis
beta_initializer gamma_initializer moving_mean_initializer moving_variance_initializer center affine \
: leave it out: gamma starts at 1, beta and the running mean at 0
from_logits: leave it out: the last layer's activation decides
reduction: leave it out: a loss is the mean over the batch
lr learning_rate: give it to the optimizer, as in compile(loss, Adam(learning_rate))
loss optimizer metrics: give it to model.compile
DNNClassifier.loss DNNRegressor.loss: leave it out: an estimator has one loss
epochs validation_split: give it to model.fit
subset labels label_mode class_names follow_links: leave it out: the classes are the folders, and fit splits
build_fn model: give a list, layers=[...], and what compile sets as solver= and learning_rate_init=
label_smoothing: smooth the targets: (1 - s) * y + s / 2
decay: use a schedule as learning_rate=
betas: use beta1= and beta2=
warmup_steps: use warmup=, whose first rate is initial / (warmup + 1), not 0
warmup_target: give it as the first argument, initial
staircase: use StepDecay(initial, steps, decay_steps, decay_rate)
weight_decay: use AdamW(weight_decay=), or with SGD model.compile(l2=weight_decay / 2), which spares biases
use_ema ema_momentum ema_overwrite_frequency: leave it out: weights are not averaged
gradient_accumulation_steps: use a larger batch
initial_accumulator_value: leave it out: the sum starts at 0
weighted_metrics: use metrics=, without weights, or a function of sklearn.metrics with sample_weight=
loss_weights: leave it out: there is one loss
initial_epoch: leave it out: a second fit continues, and epochs counts further ones
validation_freq: leave it out: validation follows each epoch
validation_steps: shorten validation_data
steps: shorten x
callbacks: leave it out: only fit calls callbacks
baseline start_from_epoch: stop in a subclass of Callback: self.model.stop_training = True
return_dict: call as_dict() of the result
save_weights_only: leave it out: dnn.checkpoints.load_weights reads the weights of a saved model
save_freq: use dnn.callbacks.TrainingCheckpoint(folder, every=)
separator: leave it out: it is a comma
overwrite: leave it out: an older file is replaced
custom_objects: leave it out: dnn.register makes your own parts known
sparse ragged tensor optional kernel_constraint bias_constraint beta_constraint gamma_constraint \
embeddings_constraint embeddings_initializer mask_zero input_length noise_shape scale renorm synchronized \
inplace fill_mode interpolation fill_value loss_scale_factor run_eagerly jit_compile steps_per_execution \
auto_scale_loss validation_batch_size use_multiprocessing max_queue_size reset_metrics period options \
initial_value_threshold histogram_freq write_graph write_images write_steps_per_second update_freq \
profile_batch embeddings_freq include_optimizer save_format zipped compile safe_mode line_length \
positions expand_nested show_trainable layer_range lora_rank cache \
: leave it out: there is nothing like it here
name: leave it out; a layer of your own takes name and calls super().__init__(name)
"""),
    "renamed argument": parse_rows("""
out_features: units
epochs: max_iter
learning_rate: learning_rate_init
optimizer: solver
validation_split: validation_fraction
patience: n_iter_no_change
seed: random_state
image_size target_size: size
color_mode: grey
step_size: every
gamma decay_rate: factor
output: run_dir
out_channels: filters
kernel_initializer: initializer
bias: use_bias
stride: strides
dilation_rate: dilation
eps: epsilon
num_embeddings: input_dim
embedding_dim: output_dim
negative_slope: slope
alpha: slope decay
decay_steps T_max total_iters total_steps: steps
initial_learning_rate: initial
eta_min: final
p: rate
lr: learning_rate learning_rate_init
beta_1: beta1
beta_2: beta2
rho: decay
global_clipnorm: clip_norm
clipvalue: clip_value
epsilon: min_delta
batch_shape: shape
"""),
    "callback method": parse_rows("""
on_batch_ on_train_batch_ on_test_ on_predict_ \
: on_progress (with every = 1 after each update), on_epoch_begin or on_epoch_end
"""),
}
"""Where a name of another library stands -> the name (of a method, its beginning) -> what to use."""
