"""What to use for names of other libraries that have another name here or do not exist."""

from dnn.keras_names.arguments import ARGUMENTS
from dnn.keras_names.rows import parse_rows

REPLACEMENTS = ARGUMENTS | {
    "model": parse_rows("""
(): model.predict(x), or model.forward(x, training=False) on arrays of the device
add pop append add_layer: all layers in the list of Sequential([...])
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
train eval: nothing: model.fit(x, y, batch_size, epochs) after model.compile(loss, optimizer) trains, \
evaluate and predict do not
zero_grad: nothing: each call of model.gradients overwrites the gradients
reset_metrics reset_states: nothing: each epoch begins with new sums
score accuracy: model.evaluate(x, y).accuracy
get_params: model.config()
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
(): Sequential([...]) with all layers; Residual and Parallel make branches
weights variables trainable_weights trainable_variables parameters state_dict: layer.value, arrays by name
get_weights: [a for n, a in model.parameters.to_host().items() if n.startswith(layer.name + '.')]
set_weights: layer.value[name][...] = array
kernel weight W w: layer.value['W']
bias b: layer.value['b']
requires_grad requires_grad_: layer.trainable
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
    "activation name": parse_rows("""
same valid: padding= by name
"""),
    "parameters": parse_rows("""
(): model.parameters.by_name, arrays by name, or .to_host() for copies on the host; layer.trainable = False \
freezes those of a layer
"""),
    "loss": parse_rows("""
(): it in model.compile, then model.evaluate(x, y), or loss, gradients = model.gradients(x, y) and \
model.update() in a loop of your own
backward: loss, gradients = model.gradients(x, y) and model.update() in a loop of your own
item: float(loss), where loss, gradients = model.gradients(x, y)
"""),
    "optimizer": parse_rows("""
step apply_gradients apply minimize update: loss, gradients = model.gradients(x, y) and model.update() in a \
loop
zero_grad: nothing: each call of model.gradients overwrites the gradients
lr param_groups assign numpy value: model.optimizer_state.rate, to read and to set, or learning_rate in a \
new one
state_dict load_state_dict variables get_weights: dnn.callbacks.TrainingCheckpoint, which saves all of a \
training
iterations: model.epochs_done
get_config: config()
"""),
    "estimator": parse_rows("""
n_layers_: len(coefs_) + 1
out_activation_: model_.layers[-1].activation
best_loss_: min(loss_curve_)
best_validation_score_: max(validation_scores_)
history_ history: loss_curve_
evaluate: score(X, y)
model: model_, after fit
"""),
    "module": parse_rows("""
LambdaCallback RemoteMonitor CallbackList: a subclass of Callback
BackupAndRestore OrbaxCheckpoint: dnn.callbacks.TrainingCheckpoint
ProgbarLogger Progbar: fit(verbose=1)
SwapEMAWeights: a schedule that decays to 0, such as LinearDecay
Model Functional Function: Sequential, of one input and one output; Residual, Parallel, or PyTorch for \
other graphs
Add add: Residual; Parallel, or PyTorch for other graphs
Concatenate concatenate: Parallel; Residual, or PyTorch for other graphs
Multiply multiply Average average Subtract subtract Maximum maximum Minimum minimum Dot dot Identity \
Wrapper Pipeline: Residual, Parallel, or PyTorch for other graphs
Lambda Permute RepeatVector Masking ThresholdedReLU ActivityRegularization UnitNormalization \
RMSNormalization SpectralNormalization EinsumDense TorchModuleWrapper JaxLayer FlaxLayer TFSMLayer \
: a subclass of Layer with forward and backward
ReLU: Activation('relu') in Sequential([Input(shape), Dense(units), ...])
Softmax: Activation('softmax') in Sequential([Input(shape), Dense(units), ...])
PReLU: LeakyReLU(slope)
Normalization normalize: x = (x - x.mean(axis=0)) / x.std(axis=0) before fit and predict, and \
Sequential([Input(x.shape[1:]), ...])
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
LambdaLR MultiplicativeLR: LearningRateScheduler
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
regularizers Regularizer: model.compile(l1=, l2=), which penalises the weights of all layers
initializers Initializer: initializer= of a layer, such as 'he_normal'
activations: activations by name
applications: from_torch of an nn.Sequential; its layers must exist here
Network NeuralNetwork NeuralNet Net MLP DNN: Sequential([Input(shape), Dense(units, 'relu'), ...])
Momentum: SGD(rate, momentum=0.9)
NesterovMomentum Nesterov: SGD(rate, momentum=0.9, nesterov=True)
Tanh: Activation('tanh')
Sigmoid: Activation('sigmoid')
SoftmaxCrossEntropy SoftmaxCrossentropy CrossEntropy: CategoricalCrossentropy
BinaryCrossEntropy BCE: BinaryCrossentropy
MSE: MeanSquaredError
MAE: MeanAbsoluteError
MaxPool: MaxPooling2D
Conv: Conv2D
BatchNorm: BatchNormalization
FullyConnected Affine FC: Dense
gradcheck check_gradients gradient_check: dnn.agreement.gradcheck(backward, forward=forward, x=x, W=W, b=b)
DNNClassifier MLPClassifier KerasClassifier: dnn.interop.sklearn.DNNClassifier, whose arguments are \
MLPClassifier's
DNNRegressor MLPRegressor KerasRegressor: dnn.interop.sklearn.DNNRegressor, whose arguments are MLPRegressor's
from_torch: dnn.interop.torch.from_torch(module, input_shape)
to_torch: dnn.interop.torch.to_torch(model)
load_mnist: (x, y), (x_test, y_test) = dnn.datasets.mnist.load_data(); x.reshape(-1, 784) / 255 has rows
cross_entropy crossentropy mse mae bce softmax_cross_entropy mean_squared_error mean_absolute_error \
binary_crossentropy categorical_crossentropy sparse_categorical_crossentropy: the loss by name, in \
model.compile(loss=)
backends: get_backend(name)
confusion_matrix accuracy_score precision_score recall_score f1_score classification_report r2_score \
: sklearn.metrics
train_test_split: sklearn.model_selection
ImageDataGenerator: the layers RandomRotation(degrees) and RandomTranslation(pixels), first in the model, \
and \
model.fit(x, y) for fit(generator.flow(x, y))
set_value: model.optimizer_state.rate = rate
cuda: get_backend('torch', 'cuda') for a model, or 'auto'
tensor Tensor as_tensor from_numpy rand randn randint zeros ones: arrays of NumPy, or tensors of PyTorch
no_grad inference_mode: model.predict(x)
TensorDataset: model.fit(x, y)
relu sigmoid tanh softmax: the activation by name, as in Dense(units, 'relu')
to_onnx export: dnn.interop.onnx.save_onnx(model, path)
keras: dnn
linear_model sklearn: dnn.interop.sklearn
torch pytorch: dnn.interop.torch
onnx: dnn.interop.onnx
preprocessing text_dataset_from_directory audio_dataset_from_directory timeseries_dataset_from_directory \
: load_image_folder and pandas.read_csv
ops Variable Operation: model.backend.xp, the array API
backend set_backend use_backend config device tree name_scope: Sequential(..., backend=), one for each \
model; for set_value \
model.optimizer_state.rate = rate
saving: dnn.load_model and dnn.save_model
mixed_precision dtype_policies DTypePolicy FloatDTypePolicy standardize_dtype: get_backend(name, dtype=)
schedules lr_scheduler: dnn.optimizers.schedules
set_random_seed manual_seed SeedGenerator: Sequential(..., seed=)
plot_model model_to_dot: model.summary()
clear_session: nothing: no state is global
clone_model: copy.deepcopy(model)
image_dataset_from_directory load_images \
: x, y, classes = dnn.datasets.load_image_folder(path, size), then \
order = numpy.random.default_rng(0).permutation(len(y)) and \
model.fit(x[order], y[order], batch_size, epochs, validation_split=)
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
Linear: Dense(outputs, activation), and Sequential([Input((inputs,)), ...]) in place of Linear(inputs, \
outputs)
Conv1d: Conv1D
Conv2d: Conv2D(filters, size), on images (H, W, C)
MaxPool2d: MaxPooling2D
AvgPool2d: AveragePooling2D
BatchNorm1d BatchNorm2d: BatchNormalization()
LayerNorm: LayerNormalization
nn functional: dnn, with layers in one list: Sequential([Input((inputs,)), Dense(outputs, 'relu'), ...])
CrossEntropyLoss: CategoricalCrossentropy
NLLLoss nll nll_loss: CategoricalCrossentropy after Dense(C, 'softmax')
LogSoftmax log_softmax: 'softmax' with the loss 'categorical_crossentropy', and numpy.log of predict
MSELoss: MeanSquaredError
SmoothL1Loss HuberLoss: MeanAbsoluteError, or a subclass of dnn.losses.Regression
optim: dnn.optimizers, in model.compile(loss, Adam(learning_rate)), without model.parameters()
L1Loss: MeanAbsoluteError
BCEWithLogitsLoss BCELoss: BinaryCrossentropy
DataLoader: model.fit(x, y, batch_size), or model.fit(batches) with PyTorch's DataLoader
"""),
    "callback method": parse_rows("""
on_batch_ on_train_batch_ on_test_ on_predict_ \
: on_progress (with every = 1 after each update), on_epoch_begin or on_epoch_end
"""),
}
"""Where a name of another library stands -> the name (of a method, its beginning) -> what to use."""
