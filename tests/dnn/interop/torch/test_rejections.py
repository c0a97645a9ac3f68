"""What has no counterpart in torch.nn, or none here, is rejected with a reason."""

import numpy as np
import pytest
from helpers import NUMPY, build_network, input_error
from torch import nn

import dnn.interop.torch as twin
from dnn import Conv2D, Dense, Flatten, GaussianNoise, Reshape
from dnn.interop import NoTwin
from dnn.interop.torch.modules import ChannelsLast, Parallel, Residual


@pytest.mark.parametrize(
    ("layer", "shape", "words"),
    [
        (
            GaussianNoise(0.1),
            (4,),
            "'GaussianNoise' has no counterpart in torch, expected one of Dense",
        ),
        (Conv2D(2, 3, strides=2, padding="same"), (4, 4, 1), "expected equal padding"),
        (Reshape((4, 3)), (3, 4), "add Flatten"),
    ],
)
def test_to_torch_rejects_layers_without_twin(layer, shape, words):
    layers = [layer, Flatten(), Dense(2)]
    model = build_network(layers, shape)
    with pytest.raises(NoTwin, match=words):
        twin.to_torch(model)


class Branches(nn.Sequential):
    """An nn.Sequential with another forward method."""

    def forward(self, x):
        return x + super().forward(x)


def hooked(module, register="register_forward_hook"):
    getattr(module, register)(lambda module, x, y: 2 * y)
    return module


def set_on(module, **attributes):
    for name, value in attributes.items():
        setattr(module, name, value)
    return module


def frozen(module, *names):
    for name in names:
        getattr(module, name).requires_grad_(False)
    return module


TIED = nn.Linear(3, 3)
UNSCALED = nn.BatchNorm1d(3, affine=False)


@pytest.mark.parametrize(
    ("modules", "shape", "words"),
    [
        ([nn.Conv2d(1, 2, 3)], None, r"input_shape is None, expected .* input_shape=\(C, H, W\)"),
        ([nn.Conv2d(1, 2, 3)], (28, 28, 1), r"takes 1 channels, but gets examples of \(28, 28, 1\)"),
        ([nn.Conv2d(1, 2, 3)], (28, 28), r"takes \(C, H, W\), expected such examples, got shape \(28, 28\)"),
        ([nn.Conv2d(1, 2, 3), ChannelsLast(nn.MaxPool2d(2))], (1, 9, 9), "either all image modules within"),
        ([nn.BatchNorm1d(4), nn.Flatten()], (4, 4), "either all image modules within"),
        ([ChannelsLast(nn.Flatten())], (4, 4, 2), "within ChannelsLast"),
        ([nn.Conv2d(2, 2, 3, padding_mode="reflect")], (2, 8, 8), "padding_mode='reflect'"),
        ([nn.Conv2d(2, 2, 3, padding=3)], (2, 8, 8), "module '0' .* less than kernel_size"),
        ([nn.Conv1d(2, 2, 3, groups=2)], (2, 8), "groups=2, expected 1"),
        ([nn.Conv1d(2, 2, 3, dilation=2)], (2, 8), r"dilation=\(2,\), expected 1"),
        ([nn.MaxPool2d(2, dilation=2)], (2, 8, 8), "dilation=2, expected 1"),
        ([nn.MaxPool2d(2, return_indices=True)], (2, 8, 8), "return_indices=True, expected False"),
        ([nn.AvgPool2d(2, divisor_override=3)], (2, 8, 8), "divisor_override=3, expected None"),
        ([nn.AdaptiveAvgPool2d(3)], (2, 8, 8), "expected an output size that divides them"),
        ([nn.ConvTranspose2d(2, 2, 3)], (2, 8, 8), "ConvTranspose2d.*expected one of"),
        ([nn.LayerNorm([2, 3])], (2, 3), "the last axis alone"),
        ([nn.Conv2d(2, 2, 3), nn.LayerNorm(6)], (2, 8, 8), "expected vectors, from a Flatten"),
        ([nn.Conv2d(2, 2, 3), nn.Linear(6, 6)], (2, 8, 8), "takes 6 features, but gets"),
        ([nn.Conv2d(2, 2, 3), nn.Softmax(-1)], (2, 8, 8), r"Softmax\(dim=-1\), expected dim=1"),
        ([nn.Linear(3, 2), nn.Softmax(0)], None, r"Softmax\(dim=0\), expected dim=1"),
        ([nn.Conv2d(2, 3, 3), nn.Flatten()], (2, 8, 8), "expected a Linear after Flatten"),
        ([nn.Linear(8, 18), nn.Unflatten(1, (2, 3, 3)), nn.Conv2d(2, 2, 2)], None, "of one channel"),
        ([nn.Linear(3, 2), nn.Softplus(2.0)], None, "beta=2.0, expected 1.0"),
        ([nn.Linear(3, 2), nn.LogSoftmax(1)], None, "leave it out and give output_activation='softmax'"),
        ([nn.Conv2d(1, 2, 3), nn.Flatten(2)], (1, 8, 8), "start_dim=2, expected 1"),
        ([nn.Conv2d(1, 2, 3), nn.Flatten(1, 2)], (1, 8, 8), "end_dim=2, expected -1"),
        ([nn.Unflatten(2, (2, 2))], (3, 4), "dim=2, expected 1"),
        ([nn.BatchNorm1d(3, track_running_stats=False)], (3,), "track_running_stats=False, expected True"),
        ([nn.Embedding(3, 2, padding_idx=0)], (4,), "padding_idx=0, expected None"),
        ([nn.Embedding(3, 2, max_norm=1.0)], (4,), "max_norm=1.0, expected None"),
        ([nn.utils.spectral_norm(nn.Linear(3, 2))], None, "'0' has a .*hook"),
        ([nn.Linear(3, 2), hooked(nn.ReLU())], None, "'1' has a .*hook"),
        ([nn.Linear(3, 2), hooked(nn.ReLU(), "register_full_backward_hook")], None, "'1' has a .*hook"),
        ([set_on(nn.Linear(3, 2), forward=abs)], None, "'0' has a .*forward of its own"),
        ([nn.utils.parametrizations.weight_norm(nn.Linear(3, 2))], None, "'0' has a parametrization"),
        ([nn.Embedding(3, 2, scale_grad_by_freq=True)], (4,), "scale_grad_by_freq=True, expected False"),
        ([TIED, nn.ReLU(), TIED], None, "one array as '0.weight' and '2.weight'"),
        ([TIED, nn.Sequential(nn.ReLU(), set_on(nn.Linear(3, 3), weight=TIED.weight))], None, "'1.1.weight'"),
        ([TIED, set_on(nn.Linear(3, 3), weight=nn.Parameter(TIED.weight.T))], None, "'1.weight'"),
        ([UNSCALED, nn.Linear(3, 3), UNSCALED], (3,), "one array as '0.running_mean'"),
        ([UNSCALED], (3,), "'0' has training=True, and its parameters requires_grad=False"),
        ([nn.BatchNorm1d(3).requires_grad_(False)], (3,), "'0' has training=True"),
        ([nn.Sequential(nn.BatchNorm1d(3).eval())], (3,), "'0.0' has training=False"),
        ([nn.LayerNorm(3, bias=False)], (3,), "'0' trains only some of its parameters"),
        ([nn.Linear(2, 3), frozen(nn.Linear(3, 3), "bias")], None, "'1' trains only some"),
        ([nn.Sequential(nn.Linear(3, 2), nn.Hardswish())], None, "'0.1' is Hardswish"),
        ([nn.Linear(3, 2).half()], None, r"use module\.float\(\)$"),
        ([nn.Linear(3, 2).double()], None, "dtype float64"),
        ([type("ReLU", (nn.ReLU,), {})(), nn.Linear(3, 2)], None, "module '0' is ReLU"),
        ([nn.Linear(4, 4), Residual(nn.Linear(4, 1))], None,
         r"'1' .*merges outputs of the shapes \[\(4,\), \(1,\)\], expected equal shapes"),
        ([nn.Linear(4, 4), Residual()], None, "layers is empty, expected at least one layer"),
        ([nn.Conv2d(2, 3, 3), Parallel(nn.Conv2d(3, 3, 1))], (2, 5, 4), "axis=-1, expected axis=1,"),
        ([nn.Linear(3, 2), nn.Sequential(Branches(nn.Linear(2, 2)))], None, r"Residual\(f\)"),
    ],
)  # fmt: skip
def test_from_torch_rejects_modules_without_twin(modules, shape, words):
    with pytest.raises(ValueError, match=words):
        twin.from_torch(nn.Sequential(*modules), NUMPY, input_shape=shape)


@pytest.mark.parametrize(
    ("module", "words"),
    [
        (nn.Linear(3, 2), r"Linear, expected an nn\.Sequential.*use nn\.Sequential\(module\)"),
        (Residual(nn.Linear(3, 3)), r"use nn\.Sequential\(module\)"),
        (Branches(nn.Linear(3, 3)), r"write its forward .*Residual\(f\)"),
        (nn.DataParallel(nn.Sequential(nn.Linear(3, 2))), r"convert module\.module, if"),
        (nn.LSTM(3, 2), r"LSTM\(3, 2\), expected one of Linear"),
        (nn.ModuleDict({"rnn": nn.GRU(3, 2)}), r"'rnn' is GRU\(3, 2\), expected one of Linear"),
        ({}, "expected a Module"),
    ],
)
def test_from_torch_rejects_modules_with_their_own_forward(module, words):
    with pytest.raises(ValueError, match=f"module .*{words}"):
        twin.from_torch(module, NUMPY)


def test_parallel_knows_two_merges():
    with input_error("merge is 'sum', expected one of concatenate, add"):
        Parallel(nn.Linear(2, 2), merge="sum")


@pytest.mark.parametrize("shape", [(4.5,), ("4",), (np.zeros((12, 4)), np.zeros(3)), (0,), (-4,), (True,)])
def test_from_torch_rejects_odd_shapes(shape):
    with input_error(r"input_shape is .*, expected"):
        twin.from_torch(nn.Sequential(nn.Linear(4, 2)), NUMPY, input_shape=shape)
