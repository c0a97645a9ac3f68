"""Networks of plain torch.nn modules, with channels first, return the same here and when converted back."""

import re

import numpy as np
import pytest
import torch
from command_lines import run_code
from helpers import NUMPY, build_network, input_error
from torch import nn

import dnn
from dnn import Conv2D, Dense, Flatten, GlobalMaxPooling2D, Reshape
from dnn.interop.torch import NoTwin, Parallel, Residual, from_torch, to_torch

BOUND = 1e-5


def block(n_in, n_out, *more):
    return [nn.Conv2d(n_in, n_out, 3, padding=1), nn.BatchNorm2d(n_out), nn.ReLU(inplace=True), *more]


NO_BIAS = nn.LayerNorm(180, bias=False).requires_grad_(False)
NETWORKS = {
    "VGG": ((3, 32, 24), lambda: [
        *block(3, 8, nn.MaxPool2d(2)), *block(8, 12, *block(12, 12), nn.MaxPool2d(2, ceil_mode=True)),
        nn.AdaptiveAvgPool2d((4, None)), nn.Flatten(), nn.Linear(12 * 4 * 6, 20), nn.ReLU(), nn.Dropout(0.5),
        nn.Linear(20, 10), nn.Softmax(dim=1),
    ]),
    "nested": ((3, 12, 10), lambda: [
        nn.Sequential(*block(3, 8), nn.MaxPool2d(3, 2, 1)),
        nn.Sequential(nn.Sequential(*block(8, 6), nn.Softmax(1)), nn.Flatten(), nn.Dropout()),
        nn.Sequential(nn.BatchNorm1d(180), NO_BIAS, nn.GELU(), nn.Linear(180, 7)),
    ]),
    "options": ((2, 16, 15), lambda: [
        nn.Conv2d(2, 4, (3, 2), stride=2, padding=1, bias=False), nn.BatchNorm2d(4, affine=False), nn.SiLU(),
        nn.Conv2d(4, 8, (2, 3), padding="same", groups=4, dilation=2), nn.LeakyReLU(),
        nn.Conv2d(8, 4, 2, padding=(1, 0)), nn.MaxPool2d((3, 2), 1, padding=1), nn.Identity(),
        nn.AvgPool2d(2, ceil_mode=True, padding=1), nn.ELU(), nn.Flatten(), nn.Dropout(0.3),
        nn.LazyLinear(5), nn.Softmax(1),
    ]),
    "global": ((3, 9, 9), lambda: [
        *block(3, 5), nn.AdaptiveAvgPool2d((1, 1)), nn.Flatten(), nn.Linear(5, 4),
    ]),
    "one pixel": ((3, 8, 8), lambda: [
        *block(3, 5), nn.AdaptiveMaxPool2d(1), nn.Dropout(0.2), nn.Conv2d(5, 4, 1), nn.Flatten(),
    ]),
    "sequences": ((4, 12), lambda: [
        nn.Conv1d(4, 6, 3, padding=1), nn.BatchNorm1d(6), nn.ReLU(), nn.Conv1d(6, 5, 4, 2), nn.Flatten(),
        nn.Linear(25, 3),
    ]),
    "residual": ((3, 9, 8), lambda: [
        *block(3, 4), Residual(*block(4, 4), *block(4, 4)[:2]), nn.ReLU(),
        Residual(nn.ReLU(inplace=True), Residual(nn.Conv2d(4, 4, 1), nn.Dropout(0.3)), *block(4, 4)),
        Parallel(nn.Conv2d(4, 6, 1, 2), nn.Sequential(*block(4, 6, nn.MaxPool2d(3, 2, 1))), merge="add"),
        Parallel(nn.Conv2d(6, 2, 1), nn.Conv2d(6, 3, 1), axis=1), nn.Flatten(), nn.Linear(100, 6),
        Residual(nn.Linear(6, 6), nn.Tanh()), nn.Linear(6, 3),
    ]),
    "residual vectors": ((6,), lambda: [
        Residual(nn.BatchNorm1d(6), nn.Linear(6, 6), nn.ReLU(), nn.Dropout()), nn.LayerNorm(6),
        Parallel(nn.Linear(6, 2), nn.Linear(6, 3)), nn.Linear(5, 4),
    ]),
    "from pixels": ((64,), lambda: [
        nn.Linear(64, 36), nn.Unflatten(1, (1, 6, 6)), *block(1, 4), nn.Flatten(), nn.Linear(144, 3),
    ]),
}  # fmt: skip


def in_evaluation(modules):
    """Return the network with running averages and scales other than the initial ones."""
    network = nn.Sequential(*modules)
    for module in network.modules():
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d, nn.LayerNorm)):
            for tensor in module.state_dict().values():
                if tensor.is_floating_point():
                    tensor.uniform_(0.5, 1.5)
    return network.eval()


def as_ours(x):
    return np.moveaxis(x.numpy(), 1, -1)


@pytest.mark.parametrize(("shape", "make"), NETWORKS.values(), ids=NETWORKS)
@pytest.mark.filterwarnings("ignore:Using padding='same':UserWarning")
def test_outputs_are_those_of_torch(shape, make):
    torch.manual_seed(3)
    theirs = in_evaluation(make())
    x = torch.rand(6, *shape)
    with torch.no_grad():
        expected = theirs(x).numpy()
    ours = from_torch(theirs, NUMPY, input_shape=shape)
    np.testing.assert_allclose(ours.predict(as_ours(x)), expected, rtol=BOUND, atol=BOUND)
    back = to_torch(ours, data_format="channels_first", logits=False).eval()
    with torch.no_grad():
        np.testing.assert_allclose(back(x).numpy(), expected, rtol=BOUND, atol=BOUND)
    again = from_torch(back, ours.backend)
    assert again.config() == ours.config()
    assert again.predict(as_ours(x)).tobytes() == ours.predict(as_ours(x)).tobytes()


def test_containers_of_ours_with_channels_first():
    layers = [
        dnn.Residual([Conv2D(2, 3, "relu", padding=1)]),
        dnn.Parallel([Conv2D(3, 1), [Conv2D(2, 1, "softmax")]]),
        dnn.Parallel([[Flatten(), Dense(4)], GlobalMaxPooling2D()]), Dense(3),
    ]  # fmt: skip
    model = build_network(layers, (6, 5, 2), seed=1)
    module = to_torch(model, data_format="channels_first").eval()
    x = torch.rand(4, 2, 6, 5)
    with torch.no_grad():
        np.testing.assert_allclose(module(x).numpy(), model.predict(as_ours(x)), rtol=BOUND, atol=BOUND)
    again = from_torch(module, model.backend)
    assert again.predict(as_ours(x)).tobytes() == model.predict(as_ours(x)).tobytes()


@pytest.mark.parametrize(
    ("layers", "words"),
    [
        ([Conv2D(3, 1), Flatten()], "expected a Linear after Flatten"),
        ([Conv2D(3, 1), Flatten(), Reshape((6, 15)), Flatten(), Dense(2)], "of one channel or one pixel"),
        (
            [Conv2D(3, 1), dnn.Parallel([Flatten(), [Flatten(), Dense(2)]]), Dense(2)],
            "same order of features",
        ),
    ],
)
def test_what_has_no_channels_first(layers, words):
    model = build_network(layers, (6, 5, 2))
    with pytest.raises(NoTwin, match=words):
        to_torch(model, data_format="channels_first")


def test_logits_are_announced(caplog):
    module = nn.Sequential(nn.Linear(3, 2))
    for activation in ("softmax", None):
        assert not caplog.records
        from_torch(module, NUMPY, output_activation=activation).compile()
    assert "predict returns logits" in caplog.text


@pytest.mark.parametrize("merge", [Residual, lambda f: Parallel(nn.Identity(), f, merge="add")])
def test_a_module_in_place_does_not_change_the_shortcut(merge):
    x = torch.tensor([[-1.0, 2.0]], requires_grad=True)
    for inplace in (True, False):
        y = merge(nn.Sequential(nn.ReLU(inplace=inplace)))(x)
        assert y.tolist() == [[-1.0, 4.0]]
        y.sum().backward()
    assert x.grad.tolist() == [[2.0, 4.0]]


def test_a_residual_has_the_names_of_a_sequential():
    assert list(Residual(nn.Flatten(), nn.Linear(2, 2)).state_dict()) == ["1.weight", "1.bias"]


@pytest.mark.parametrize(
    ("modules", "shape"),
    [
        ([nn.Conv2d(2, 3, 3), nn.MaxPool2d(2)], (2, 8, 8)),
        ([nn.Conv1d(2, 3, 3)], (2, 8)),
        ([nn.Embedding(5, 3)], (4,)),
    ],
)
@pytest.mark.parametrize("ending", [None, "softmax"])
def test_every_cure_for_a_stack_of_features_is_right(modules, shape, ending):
    module = nn.Sequential(*modules)
    options = {"input_shape": shape, "output_activation": ending}
    with input_error("expected vectors; convert nn") as error:
        from_torch(module, NUMPY, **options)
    cures = re.findall(r"nn\.Sequential\(.*?\)(?=, or nn\.Seq| for|$)", str(error.value))
    assert len(cures) == (2 if len(shape) == 3 else 1)
    for cure in cures:
        theirs = eval(cure)
        x = torch.randint(0, 5, (4, *shape)).float()
        with torch.no_grad():
            expected = theirs(x.long() if len(shape) == 1 else x)
        expected = expected.softmax(1) if ending else expected
        found = from_torch(theirs, NUMPY, **options).predict(as_ours(x))
        np.testing.assert_allclose(found, expected.numpy(), rtol=BOUND, atol=BOUND)


def test_the_modules_are_imported_with_torch_only():
    code = "import sys, dnn.interop.torch as t; before = 'torch' in sys.modules; t.Residual"
    code += "; assert not before and 'torch' in sys.modules"
    run_code(code)
    with pytest.raises(AttributeError, match="no attribute 'Residuals'"):
        _ = dnn.interop.torch.Residuals
