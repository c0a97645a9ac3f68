"""What to use for arguments of other libraries that have another name here or do not exist."""

from dnn.keras_names.rows import parse_rows

ARGUMENTS = {
    "argument": parse_rows("""
clipnorm: use clip_norm=, a limit on the norm of all gradients together
factor: use degrees=, which is 360 times Keras's factor
height_factor width_factor: use pixels=, for both axes
input_shape input_dim in_features in_channels \
: give Sequential the shape: Sequential(layers, input_shape=shape)
batch_size: leave it out: any batch size fits
dtype autocast: leave it out: get_backend(name, dtype=) determines it
bias_initializer: leave it out: biases start at 0
kernel_regularizer activity_regularizer embeddings_regularizer \
: use model.compile(l1=, l2=), which penalises the weights of all layers
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
inputs outputs: give all layers in one list, the first of which is Input(shape)
dropout dropout_rate: give a list of layers with Dropout(rate)
DNNClassifier.learning_rate DNNRegressor.learning_rate: use learning_rate_init=, a constant rate
DNNClassifier.loss DNNRegressor.loss: leave it out: an estimator has one loss
epochs validation_split: give it to model.fit
subset labels label_mode class_names follow_links: leave it out: the classes are the folders, and fit splits
build_fn model: give a list, layers=[...], and what compile sets as solver= and learning_rate_init=
label_smoothing: smooth the targets: (1 - s) * y + s / 2
decay: use a schedule as learning_rate=
betas: use beta1= and beta2=
CosineDecay.alpha: use final=, alpha times the first rate
warmup_steps: use warmup=, whose first rate is initial / (warmup + 1), not 0
warmup_target: give it as the first argument, initial
staircase: use StepDecay(initial, steps, decay_steps, decay_rate)
weight_decay: use AdamW(weight_decay=) for that of Keras, model.compile(l2=weight_decay / 2) for that of \
PyTorch, which here spares biases
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
power_t max_fun profile_batch embeddings_freq include_optimizer save_format zipped compile safe_mode \
line_length positions expand_nested show_trainable layer_range lora_rank cache \
: leave it out: there is nothing like it here
name: leave it out; a layer of your own takes name and calls super().__init__(name)
"""),
    "renamed argument": parse_rows("""
nb_epoch n_epochs num_epochs n_iter: epochs max_iter
hidden_layers hidden_sizes: hidden_layer_sizes
n_units num_units neurons: units
out_features: units
epochs: max_iter
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
}
