"""Comparison of gradients: wrong ones are reported, ill-conditioned but correct ones are not."""

from types import ModuleType, SimpleNamespace

import array_api_compat.torch as torch_xp
import numpy as np
import pytest
import torch

from array_agreement import Disagreement, check_agreement
from array_agreement.targets import InputError, Target


def normal(*shape):
    return np.random.default_rng(0).normal(size=shape)


def softmax(xp, x):
    powers = xp.exp(x - xp.max(x, axis=1, keepdims=True))
    return powers / xp.sum(powers, axis=1, keepdims=True)


def solve(xp, b):
    i = xp.astype(xp.arange(b.shape[0]), xp.float32)
    return xp.linalg.solve(1 / (i[:, None] + i[None, :] + 1), b[:, None])


def standardise(xp, x):
    return (x - xp.mean(x, axis=0)) / xp.std(x, axis=0)


def two_layers(xp, x, w, b):
    return xp.tanh(xp.tanh(x @ w + b) @ w + b)


CORRECT_GRADIENTS = {
    "softmax": (softmax, normal(6, 5)),
    "saturated": (lambda xp, x: (xp.tanh(x), xp.expm1(x)), 8 * normal(16)),
    "near a singularity": (lambda xp, x: xp.asin(x), 1 - 1e-3 * np.abs(normal(16)) - 1e-4),
    "naive variance": (lambda xp, x: xp.mean(x * x, axis=0) - xp.mean(x, axis=0) ** 2, normal(20, 3) + 300),
    "variance": (lambda xp, x: xp.var(x, axis=0), normal(50, 3) + 300),
    "standardised": (standardise, normal(10, 3) + 10),
    "hilbert": (solve, normal(4)),
    "layers": (two_layers, normal(40, 5), normal(5, 5), normal(5)),
    "cancellation": (lambda xp, x, w: (x + 99) @ w - 99 * xp.sum(w, axis=0), normal(5, 30), normal(30, 4)),
    "cumulative": (lambda xp, x: xp.cumulative_sum(x, axis=0) ** 3, normal(30, 2)),
    "written in place": (lambda xp, x: write_row(xp, x) ** 2, normal(4, 4)),
    "integers as well": (lambda xp, x: (xp.sort(x * x), xp.argsort(x)), normal(9)),
}  # fmt: skip


def write_row(xp, x):
    x[0, :] = 3 * x[1, :]
    return x


@pytest.mark.parametrize("name", CORRECT_GRADIENTS)
def test_correct_gradients_agree(name):
    f, *arrays = CORRECT_GRADIENTS[name]
    agreement = check_agreement(f, *arrays, backends=["numpy", "torch"], gradient=True)
    gradients = [v for v in agreement.verdicts if v.output.startswith("gradient")]
    assert [v.backend for v in gradients] == ["torch"]
    assert all(v.ratio > 0 for v in gradients)
    assert sum(v.unjudged for v in gradients) == 0
    assert "autograd" in agreement.skipped["the gradient on numpy"]


class TanhWithMistake(torch.autograd.Function):
    """tanh with a wrong derivative: ``mistake`` maps dy and y to dx."""

    @staticmethod
    def forward(x, mistake):
        return torch.tanh(x)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(output)
        ctx.mistake = inputs[1]

    @staticmethod
    def backward(ctx, dy):
        return ctx.mistake(dy, *ctx.saved_tensors), None


MISTAKES = {
    "factor": lambda dy, y: dy * (1 - y * y) * (1 + 2e-5),
    "none": lambda dy, y: torch.zeros_like(dy),
    "one element": lambda dy, y: dy * (1 - y * y) * (torch.arange(y.numel()).reshape(y.shape) > 0),
    "nan": lambda dy, y: torch.where(y == y.max(), torch.nan, dy * (1 - y * y)),
}


def torch_with(mistake):
    """Return torch as a target with a wrong derivative of tanh."""
    xp = ModuleType("torch")
    vars(xp).update(vars(torch_xp), tanh=lambda x: TanhWithMistake.apply(x, MISTAKES[mistake]))
    return Target("mistaken", xp)


@pytest.mark.parametrize("name", MISTAKES)
def test_reports_wrong_gradients(name):
    arrays = normal(6, 4), normal(4, 4), normal(4)
    with pytest.raises(Disagreement, match="mistaken, gradient") as error:
        check_agreement(two_layers, *arrays, backends=["torch", torch_with(name)], gradient=True)
    wrong_verdicts = [v for v in error.value.args[0].verdicts if not v.agrees]
    assert {v.backend for v in wrong_verdicts} == {"mistaken"}
    line = two_layers.__code__.co_firstlineno + 1
    assert f"first wrong derivative: {__file__}:{line}, tanh: error / bound" in wrong_verdicts[0].note


def test_reports_detached_gradients():
    def f(xp, x):
        return x * (x.detach() if hasattr(x, "detach") else x)

    check_agreement(f, normal(9), backends=["torch"])
    with pytest.raises(Disagreement, match=r"(?s)torch, gradient.*first wrong derivative: none"):
        check_agreement(f, normal(9), backends=["torch"], gradient=True)


def test_reports_calls_with_zero_derivative():
    def f(xp, i, x):
        a, b = xp.unstack(xp.stack([x, 2 * x + xp.astype(i, x.dtype)]))
        return xp.where(i < 3, xp.sum(xp.floor(a) ** 2) + xp.clip(b, max=2.5), xp.matmul(x, x))

    def with_tanh(xp, i, x):
        return f(xp, i, xp.tanh(x))

    check_agreement(f, np.arange(9), normal(9), backends=["torch"], gradient=True)
    with pytest.raises(Disagreement, match=r"first wrong derivative: .*, tanh: error / bound = "):
        check_agreement(with_tanh, np.arange(9), normal(9), backends=[torch_with("none")], gradient=True)


def test_kinks_are_not_judged():
    """Libraries define different derivatives of |x| at 0 and of a maximum with ties."""
    x = np.asarray([0.0, 1.0, -2.0, 1.0])
    for f, unjudged in [(lambda xp, x: xp.abs(x), 1), (lambda xp, x: xp.max(x), 2)]:
        verdicts = check_agreement(f, x, backends=["torch"], gradient=True, max_unjudged=1).verdicts
        assert verdicts[1].unjudged == unjudged


def test_rejects_functions_without_gradient():
    with pytest.raises(InputError, match="no argument is an array of real numbers"):
        check_agreement(lambda xp, i: i / 2, np.arange(3), gradient=True)
    with pytest.raises(InputError, match="f returns no floating-point array"):
        check_agreement(lambda xp, x: xp.argsort(x), normal(3), backends=["torch"], gradient=True)


def test_gradients_on_jax():
    jax = pytest.importorskip("jax")
    with jax.enable_x64(True) if hasattr(jax, "enable_x64") else jax.experimental.enable_x64():
        for name in ("softmax", "saturated", "layers"):
            f, *arrays = CORRECT_GRADIENTS[name]
            verdicts = check_agreement(f, *arrays, backends=["jax"], gradient=True).verdicts
            assert any(0 < v.ratio <= 1 for v in verdicts if v.output == "gradient")
        xp = jax.numpy
        wrong = SimpleNamespace(**{**vars(xp), "tanh": lambda x: xp.tanh(jax.lax.stop_gradient(x))})
        backend = Target("mistaken", wrong)
        with pytest.raises(Disagreement, match=r"first wrong derivative: .*, tanh: error / bound"):
            check_agreement(
                lambda xp, x: 2 * x + xp.tanh(3 * x), normal(9), backends=[backend], gradient=True
            )
