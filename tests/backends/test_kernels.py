"""Every override of every backend against its reference, and the references against other libraries."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import array_api_compat.numpy as npx
import host_cuda
import layer_cases
import numpy as np
import pytest
import scipy.special
import torch
from helpers import BACKENDS, assert_close, assert_ulp, same_bits

from backends import Backend, BackendUnavailable, cupy_backend, get_backend, reference
from backends.cupy_backend import CupyBackend
from backends.dispatch import bind
from backends.numpy_backend import NumpyBackend
from backends.numpy_optimizers import BLOCK
from backends.reference import ACTIVATIONS, FLUSH_EVERY, KERNELS, MOMENT_FLOOR
from backends.torch_optimizers import optimizer_overrides

F = torch.nn.functional
CUPY_ON_NUMPY = "cupy-on-numpy"


class CupyOverridesOnNumpy(NumpyBackend):
    """The CuPy overrides over NumPy arrays, with their CUDA kernels compiled for the host."""

    OVERRIDES = CupyBackend.OVERRIDES


def find(make_backend: Callable[..., Backend], backend_id: str, dtype: str) -> Backend:
    if backend_id == CUPY_ON_NUMPY:
        return CupyOverridesOnNumpy("cupy", npx, "cpu", dtype)
    return make_backend(backend_id, dtype)


# --------------------------------------------------------------------------- the cases
# A case is a kernel's arguments by name, in order: host arrays and plain values.

BATCHES = (0, 1, 3, 7, 100)
WIDTHS = (1, 5, 33)
WRITES = {
    "gather_rows": {"out"},
    "activation": {"y"},
    "activation_backward": {"dz"},
    "dense": {"y"},
    "dense_backward": {"dz", "dW", "db", "dx"},
    "softmax_cross_entropy": {"losses", "dlogits"},
    "sigmoid_cross_entropy": {"losses", "dlogits"},
    "mean_squared_error": {"losses", "dy"},
    "mean_absolute_error": {"losses", "dy"},
    "hinge": {"losses", "dy"},
    "sgd": {"p", "velocity", "control"},
    "penalty": {"g"},
    "clip_norm": {"g"},
    "clip_value": {"g"},
    "adagrad": {"p", "total", "control"},
    "rmsprop": {"p", "v", "velocity", "control"},
    "adam": {"p", "m", "v", "control"},
    "adamw": {"p", "m", "v", "control"},
    "threefry": {"out"},
    **layer_cases.WRITES,
}
# What a docstring allows to be one array: (the one read, the one written).
ALIASES = {
    "activation": [("z", "y")],
    "activation_backward": [("dy", "dz")],
    "dense_backward": [("dy", "dz")],
    **layer_cases.ALIASES,
}
Case = dict[str, Any]


class Numbers:
    """A case's numbers: normal, or with NaN and infinities among them."""

    def __init__(self, seed: int, dtype: str, special: bool) -> None:
        self.rng, self.dtype, self.special = np.random.default_rng(seed), dtype, special

    def normal(self, *shape: int) -> np.ndarray:
        a = self.rng.normal(size=shape).astype(self.dtype)
        if self.special and a.size:
            flat = a.reshape(-1)
            spots = self.rng.integers(0, a.size, 1 + a.size // 20)
            flat[spots] = self.rng.choice([np.nan, np.inf, -np.inf], spots.size)
        return a

    def finite(self, *shape: int) -> np.ndarray:
        return self.rng.normal(size=shape).astype(self.dtype)

    def garbage(self, *shape: int) -> np.ndarray:
        """What an array that is only written holds beforehand: a kernel that reads it shows NaN."""
        return np.full(shape, np.nan, dtype=self.dtype)


def activation_of(kind: str, z: np.ndarray) -> np.ndarray:
    y = np.empty_like(z)
    with np.errstate(all="ignore"):
        reference.activation(npx, kind, z, y)
    return y


def gather_cases(num: Numbers, kind: str | None) -> Iterator[Case]:
    for batch in BATCHES:
        index = num.rng.integers(0, 9, batch)
        for tail in ((), (1,), (5,), (2, 3)):
            labels = num.rng.integers(0, 10, (9, *tail))
            pixels = num.rng.integers(0, 256, (9, *tail)).astype(np.uint8)
            out = num.garbage(batch, *tail)
            yield {"rows": num.normal(9, *tail), "index": index, "out": out, "scale": 1.0}
            yield {"rows": num.normal(9, *tail), "index": index, "out": out, "scale": 0.3}
            yield {"rows": pixels, "index": index, "out": out, "scale": 1 / 255}
            yield {"rows": pixels, "index": index, "out": out, "scale": 1.0}
            yield {"rows": labels, "index": index, "out": labels[:1].repeat(batch, 0), "scale": 1.0}


def activation_cases(num: Numbers, kind: str) -> Iterator[Case]:
    for batch in BATCHES:
        for n in WIDTHS:
            z = 3 * num.normal(batch, n)
            z[:1, :1] = 0.0  # the kink
            yield {"z": z, "y": num.garbage(batch, n)}
            yield {"z": 100 * z, "y": num.garbage(batch, n)}  # saturated, no overflow


def activation_backward_cases(num: Numbers, kind: str) -> Iterator[Case]:
    for batch in BATCHES:
        for n in WIDTHS:
            z = num.normal(batch, n)
            z[:1, :1] = 0.0
            y, dz = activation_of(kind, z), num.garbage(batch, n)
            yield {"dy": num.normal(batch, n), "z": z, "y": y, "dz": dz}


def dense_cases(num: Numbers, kind: str) -> Iterator[Case]:
    for batch in BATCHES:
        for n_in, n in ((1, 1), (5, 33), (33, 5)):
            x, W, b = num.normal(batch, n_in), num.normal(n_in, n), num.normal(n)
            yield {"x": x, "W": W, "b": b, "y": num.garbage(batch, n)}


def dense_backward_cases(num: Numbers, kind: str) -> Iterator[Case]:
    for batch in BATCHES:
        for n_in, n in ((1, 1), (5, 33), (33, 5)):
            z = num.normal(batch, n)
            z[:1, :1] = 0.0
            for first in (False, True):
                yield {
                    # Mostly positive: where a column's sum cancels, eta measures that and no kernel.
                    "dy": num.normal(batch, n) + 2,
                    "x": num.normal(batch, n_in) + 2,
                    "y": activation_of(kind, z),
                    "W": num.normal(n_in, n),
                    "dz": num.garbage(batch, n),
                    "dW": num.garbage(n_in, n),
                    "db": num.garbage(n),
                    "dx": None if first else num.garbage(batch, n_in),
                }


def loss_cases(num: Numbers, kind: str, output: str, gradient: str) -> Iterator[Case]:
    for batch in BATCHES[1:]:  # the mean of no losses is not defined
        for n in WIDTHS:
            targets = num.rng.integers(0, n, batch)
            if kind == "dense":
                targets = num.rng.dirichlet(np.ones(n), batch).astype(num.dtype)
                targets[:1] = np.eye(n, dtype=num.dtype)[:1]
            yield {
                output: 3 * num.normal(batch, n),
                "targets": targets,
                "losses": num.garbage(batch),
                gradient: num.garbage(batch, n),
            }


SIZES = (0, 1, 5, 33, BLOCK + 7)


def control(num: Numbers, *values: float) -> np.ndarray:
    return np.asarray([0.1, *values], dtype=num.dtype)


def sgd_cases(num: Numbers, kind: str | None) -> Iterator[Case]:
    for n in SIZES:
        for momentum, nesterov in ((0.0, False), (0.9, False), (0.9, True)):
            yield {
                "p": num.normal(n),
                "g": num.normal(n),
                "velocity": num.normal(n),
                "control": control(num, 0.0, 0.0, 4.0),
                "momentum": momentum,
                "nesterov": nesterov,
            }


def adagrad_cases(num: Numbers, kind: str | None) -> Iterator[Case]:
    for n in SIZES:
        for t in (0, 4):
            yield {
                "p": num.finite(n),
                "g": num.normal(n),
                "total": t * num.finite(n) ** 2,
                "control": control(num, 0.0, 0.0, float(t)),
                "epsilon": 1e-10,
            }


def rmsprop_cases(num: Numbers, kind: str | None) -> Iterator[Case]:
    for n in SIZES:
        for momentum in (0.0, 0.9):
            yield {
                "p": num.finite(n),
                "g": num.normal(n),
                "v": num.finite(n) ** 2,
                "velocity": num.finite(n),
                "control": control(num, 0.0, 0.0, 4.0),
                "decay": 0.99,
                "epsilon": 1e-8,
                "momentum": momentum,
            }


def adamw_cases(num: Numbers, kind: str | None) -> Iterator[Case]:
    for case in adam_cases(num, kind):
        yield case | {"weight_decay": 0.3}


def penalty_cases(num: Numbers, kind: str | None) -> Iterator[Case]:
    for n in SIZES:
        w = num.normal(n)
        w[:1] = 0.0  # the kink of L1
        for l1, l2 in ((0.3, 0.0), (0.0, 0.7), (0.3, 0.7)):
            yield {"w": w, "g": num.finite(n), "l1": l1, "l2": l2}


def clip_cases(num: Numbers, kind: str | None) -> Iterator[Case]:
    for n in SIZES:
        for limit in (0.5, 1e3):  # shortened, and left as it is
            yield {"g": num.normal(n), "limit": limit}
    yield {"g": np.zeros(3, dtype=num.dtype), "limit": 0.5}


def adam_cases(num: Numbers, kind: str | None) -> Iterator[Case]:
    for n in SIZES:
        # The fresh start, and a state as it is after 4 updates.
        for t in (0, 4):
            m, v = (num.finite(n), num.finite(n) ** 2) if t else np.zeros((2, n), dtype=num.dtype)
            yield {
                "p": num.finite(n),
                "g": num.normal(n),
                "m": m,
                "v": v,
                "control": control(num, 1 - 0.9**t, 1 - 0.999**t, float(t)),
                "beta1": 0.9,
                "beta2": 0.999,
                "epsilon": 1e-8,
            }


def threefry_cases(num: Numbers, kind: str | None) -> Iterator[Case]:
    for n in SIZES:
        low = num.rng.integers(0, 2**32, n)
        for high in (low[::-1].copy(), np.asarray([2**32 - 1])):
            yield {"key": (2**32 - 1, 7), "high": high, "low": low, "out": np.zeros(n, np.int64)}


CASES: dict[str, Callable[..., Iterator[Case]]] = {
    "gather_rows": gather_cases,
    "activation": activation_cases,
    "activation_backward": activation_backward_cases,
    "dense": dense_cases,
    "dense_backward": dense_backward_cases,
    "softmax_cross_entropy": partial(loss_cases, output="logits", gradient="dlogits"),
    "sigmoid_cross_entropy": partial(loss_cases, output="logits", gradient="dlogits"),
    "mean_squared_error": partial(loss_cases, output="y", gradient="dy"),
    "mean_absolute_error": partial(loss_cases, output="y", gradient="dy"),
    "hinge": partial(loss_cases, output="y", gradient="dy"),
    "sgd": sgd_cases,
    "penalty": penalty_cases,
    "clip_norm": clip_cases,
    "clip_value": clip_cases,
    "adagrad": adagrad_cases,
    "rmsprop": rmsprop_cases,
    "adam": adam_cases,
    "adamw": adamw_cases,
    "threefry": threefry_cases,
    "conv2d": layer_cases.conv_cases,
    "conv2d_backward": layer_cases.conv_backward_cases,
    "max_pool2d": layer_cases.max_pool_cases,
    "max_pool2d_backward": layer_cases.max_pool_backward_cases,
    "average_pool2d": layer_cases.average_pool_cases,
    "average_pool2d_backward": layer_cases.average_pool_backward_cases,
    "batch_norm": layer_cases.batch_norm_cases,
    "batch_norm_backward": partial(
        layer_cases.norm_backward_cases, forward=layer_cases.batch_norm_cases, kernel="batch_norm"
    ),
    "layer_norm": layer_cases.layer_norm_cases,
    "layer_norm_backward": partial(
        layer_cases.norm_backward_cases, forward=layer_cases.layer_norm_cases, kernel="layer_norm"
    ),
    "dropout": partial(layer_cases.noise_cases, setting={"rate": 0.3}, extra=("mask",)),
    "gaussian_noise": partial(layer_cases.noise_cases, setting={"deviation": 0.5}, extra=()),
}


def ulp_bound(name: str, kind: str | None) -> float | None:
    """ULP allowed for each element, where the two do the same few roundings; None: eta instead."""
    if name in ("gather_rows", "threefry", "clip_value", "max_pool2d") or (
        name in ("activation", "activation_backward") and kind in ("linear", "relu")
    ):
        return 0  # copies, choices, and one rounding
    return None


def eta_bound(case: Case, dtype: str) -> float:
    """A dozen roundings (exp, tanh and division take up to 4 ULP in vectorised libraries; a
    cancellation may double them), and for a sum of K products in another order sqrt(K) more."""
    longest = max((max(a.shape, default=1) for a in case.values() if hasattr(a, "shape")), default=1)
    return (12.0 + 2.0 * min(longest, 100) ** 0.5) * float(np.finfo(dtype).eps)


# --------------------------------------------------------------------------- overrides


def overrides() -> Iterator[Any]:
    """(backend, dtype, kernel, variant) for every override; one entry for what cannot run here."""
    for backend_id in (*BACKENDS, CUPY_ON_NUMPY):
        for dtype in ("float32", "float64"):
            try:
                keys = find(lambda i, d: get_backend(*_split(i), d), backend_id, dtype).overridden
            except BackendUnavailable:
                yield pytest.param(backend_id, dtype, None, "", id=f"{backend_id}-{dtype}")
                continue
            for name, kind in keys:
                for variant in ("plain", "strided", "special", *(["alias"] if name in ALIASES else [])):
                    label = "-".join((backend_id, dtype, name, *filter(None, (kind,)), variant))
                    yield pytest.param(backend_id, dtype, (name, kind), variant, id=label)


def _split(backend_id: str) -> tuple[str, str | None]:
    name, _, device = backend_id.partition(":")
    return name, device or None


def on_device(backend: Backend, name: str, case: Case, variant: str) -> Case:
    """The case's arrays as new arrays of the backend."""
    args: Case = {}
    for argument, value in case.items():
        args[argument] = value
        if isinstance(value, np.ndarray):
            if variant == "strided" and argument not in WRITES[name]:
                # Every second column of a wider array.
                wide = np.repeat(value, 2, axis=-1) if value.ndim else value
                args[argument] = backend.from_host(wide)[..., ::2]
            else:
                args[argument] = backend.from_host(value.copy())
    if variant == "alias":
        for read, written in ALIASES[name]:
            args[written] = args[read]
    return args


@pytest.mark.parametrize(("backend_id", "dtype", "key", "variant"), list(overrides()))
def test_override_equals_reference(make_backend, backend_id, dtype, key, variant, monkeypatch):
    if backend_id == CUPY_ON_NUMPY:
        if host_cuda.COMPILER is None:
            pytest.skip("no C++ compiler")
        monkeypatch.setattr(cupy_backend, "elementwise", host_cuda.Elementwise)
        monkeypatch.setattr(cupy_backend, "_rows", host_cuda.rows)
    backend = find(make_backend, backend_id, dtype)
    assert key in backend.overridden
    name, kind = key
    standard = bind(backend.xp, KERNELS[name][0], kind)
    # Only one update from an infinite gradient: torch writes m + (1 - beta1) (g - m), which in the next
    # is NaN where the reference has inf. p is NaN in both from the first on.
    steps = 3 if "control" in WRITES[name] and variant != "special" else 1
    bound = ulp_bound(name, kind)
    for case in CASES[name](Numbers(5, dtype, variant == "special"), kind):
        got, want = (on_device(backend, name, case, variant) for _ in range(2))
        # NumPy warns of each NaN that it makes; here they are wanted.
        with np.errstate(all="ignore"):
            for _ in range(steps):
                assert backend.kernel(name, kind)(*got.values()) is None
                standard(*want.values())
        written = set(WRITES[name])
        if variant == "alias":
            written |= {read for read, _ in ALIASES[name]}
        for argument, before in case.items():
            if not isinstance(before, np.ndarray):
                continue
            shapes = {k: v.shape for k, v in case.items() if isinstance(v, np.ndarray)}
            what = f"{name}({kind}) {argument} for {shapes}"
            after, desired = (backend.to_host(a[argument]) for a in (got, want))
            if argument not in written:
                assert same_bits(np.ascontiguousarray(after), before), f"{what} was written"
            elif bound is None:
                assert_close(after, desired, eta_bound(case, dtype), what)
            else:
                assert_ulp(after, desired, bound, what)


@pytest.mark.parametrize("device", ["cuda", "mps"])
def test_what_torch_runs_on_other_devices(make_backend, device):
    """Their overrides on CPU tensors: the arithmetic, if not the device."""
    backend, found = make_backend("torch"), optimizer_overrides(device)
    # torch's fused code for CUDA reads its scalars as float32.
    assert {name for name, o in found.items() if o.at("float64", None) is None} == {"adam", "adamw"}
    for name, override in found.items():
        for case in CASES[name](Numbers(5, "float32", False), None):
            got, want = (on_device(backend, name, case, "plain") for _ in range(2))
            override.function(backend.xp, *got.values())
            KERNELS[name][0](backend.xp, *want.values())
            for argument in WRITES[name]:
                bound = eta_bound(case, "float32")
                assert_close(got[argument].numpy(), want[argument].numpy(), bound, f"{name} {argument}")


def test_cases_cover_all_kernels():
    assert CASES.keys() == KERNELS.keys() == WRITES.keys()


# Name -> the sign of its slots (those of squares have none), and its settings.
MOMENTS = {
    "sgd": (["signed"], (0.9, False)),
    "adagrad": (["square"], (1e-10,)),
    "rmsprop": (["square", "signed"], (0.9, 1e-8, 0.9)),
    "adam": (["signed", "square"], (0.9, 0.999, 1e-8)),
    "adamw": (["signed", "square"], (0.9, 0.999, 1e-8, 0.1)),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("backend_id", BACKENDS)
@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("name", MOMENTS)
def test_moments_below_the_floor_become_zero_and_nan_stays(make_backend, backend_id, dtype, fused, name):
    backend = make_backend(backend_id, dtype, fused)
    moment = np.asarray([MOMENT_FLOOR / 10, -MOMENT_FLOOR / 10, np.nan, 1.0], dtype=dtype)
    signs, settings = MOMENTS[name]
    slots = [moment if sign == "signed" else np.abs(moment) for sign in signs]
    for updates, flushed in ((FLUSH_EVERY - 2, False), (FLUSH_EVERY - 1, True)):
        start = np.asarray([0.1, 0.1, 0.1, updates], dtype=dtype)
        zeros = np.zeros(4, dtype=dtype)
        p, g, *states, control = (backend.from_host(a.copy()) for a in (zeros, zeros, *slots, start))
        backend.kernel(name)(p, g, *states, control, *settings)
        for state in states:
            after = backend.to_host(state)
            assert (after[:2] == 0.0).tolist() == [flushed, flushed]
            assert np.isnan(after[2])
            assert 0.8 < after[3] <= 1.0
        assert np.isnan(backend.to_host(p)[2])


# --------------------------------------------------------------------------- references
# The definition of correct, against SciPy and PyTorch in float64.

TIGHT = 1e-12


def run(name: str, *args: Any) -> None:
    KERNELS[name][0](npx, *args)


def T(a: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.array(a))


EXPECTED = {
    "linear": lambda z: z,
    "sigmoid": scipy.special.expit,
    "tanh": np.tanh,
    "relu": lambda z: np.clip(z, 0, None),
    "softmax": lambda z: scipy.special.softmax(z, axis=-1),
    "leaky_relu": lambda z: np.where(z > 0, z, z / 100),
    "elu": lambda z: np.where(z > 0, z, np.expm1(np.minimum(z, 0))),
    "gelu": lambda z: z * (1 + np.tanh(np.sqrt(2 / np.pi) * (z + 0.044715 * z**3))) / 2,
    "softplus": lambda z: np.logaddexp(0, z),
}
TORCH = {
    "linear": lambda t: t * 1.0,
    "softmax": lambda t: torch.softmax(t, -1),
    "leaky_relu": F.leaky_relu,
    "elu": F.elu,
    "gelu": partial(F.gelu, approximate="tanh"),
    "softplus": partial(F.softplus, threshold=40.0),
}


@pytest.mark.parametrize("kind", ACTIVATIONS)
def test_reference_activation(kind):
    z = np.random.default_rng(1).normal(size=(7, 5)) * 10
    y, dz = np.empty_like(z), np.empty_like(z)
    run("activation", kind, z, y)
    assert_close(y, EXPECTED[kind](z), TIGHT)
    dy = np.random.default_rng(2).normal(size=z.shape)
    run("activation_backward", kind, dy, z, y, dz)
    leaf = T(z).requires_grad_()
    TORCH.get(kind, getattr(torch, kind, None))(leaf).backward(T(dy))
    assert_close(dz, leaf.grad.numpy(), TIGHT)


def test_reference_edges():
    z = np.asarray([[-1.0, -0.0, 0.0, 2.0, np.nan]])
    out = np.empty_like(z)
    run("activation", "relu", z, out)
    np.testing.assert_array_equal(out, [[0.0, 0.0, 0.0, 2.0, np.nan]])
    run("activation_backward", "relu", np.full_like(z, 3.0), z, out, out)
    np.testing.assert_array_equal(out, [[0.0, 0.0, 0.0, 3.0, 3.0]])
    far = np.asarray([[-800.0, -700.0, 800.0, -np.inf, np.inf]])
    run("activation", "sigmoid", far, out)
    np.testing.assert_allclose(out, scipy.special.expit(far), rtol=1e-13)


def test_reference_dense():
    rng = np.random.default_rng(3)
    x, W, b, dy = (rng.normal(size=s) for s in ((7, 5), (5, 4), (4,), (7, 4)))
    y, dz = np.empty((7, 4)), np.empty((7, 4))
    dW, db, dx = np.empty_like(W), np.empty_like(b), np.empty_like(x)
    run("dense", "tanh", x, W, b, y)
    run("dense_backward", "tanh", dy, x, y, W, dz, dW, db, dx)
    leaves = [T(a).requires_grad_() for a in (x, W, b)]
    pre = F.linear(leaves[0], leaves[1].T, leaves[2])
    expected = torch.tanh(pre)
    expected.backward(T(dy))
    assert_close(y, expected.detach().numpy(), TIGHT)
    for actual, leaf in zip((dx, dW, db), leaves, strict=True):
        assert_close(actual, leaf.grad.numpy(), TIGHT)


TORCH_LOSSES = {
    "sigmoid_cross_entropy": F.binary_cross_entropy_with_logits,
    "mean_squared_error": F.mse_loss,
    "mean_absolute_error": F.l1_loss,
    # torch.clamp has the gradient 1 at the kink, where ours is 0; no number here is there.
    "hinge": lambda y, t, reduction: (1 - torch.where(t > 0, y, -y)).clamp_min(0),
}


@pytest.mark.parametrize("kind", ["integer", "dense"])
@pytest.mark.parametrize("name", ["softmax_cross_entropy", *TORCH_LOSSES])
def test_reference_loss(name, kind):
    rng = np.random.default_rng(4)
    outputs, labels = rng.normal(size=(7, 5)) * 5, rng.integers(0, 5, 7)
    # Rows that do not sum to 1 too: the gradient has the factor sum_c t_c.
    targets = labels if kind == "integer" else rng.uniform(size=(7, 5))
    if kind == "dense" and name == "hinge":
        targets = rng.choice([-1.0, 0.0, 1.0], size=(7, 5))
    losses, gradient = np.empty(7), np.empty((7, 5))
    run(name, kind, outputs, targets, losses, gradient)
    leaf = T(outputs).requires_grad_()
    if name == "softmax_cross_entropy":
        expected = F.cross_entropy(leaf, T(targets), reduction="none")
    else:
        rows = np.eye(5)[labels] if kind == "integer" else targets
        expected = TORCH_LOSSES[name](leaf, T(rows), reduction="none").mean(1)
    expected.mean().backward()
    assert_close(losses, expected.detach().numpy(), TIGHT)
    assert_close(gradient, leaf.grad.numpy(), TIGHT)


def test_reference_loss_edges():
    losses, gradient = np.empty(1), np.empty((1, 4))
    far = np.asarray([[-1e3, 1e3, -1e3, 1e3]])
    run("sigmoid_cross_entropy", "dense", far, np.asarray([[0.0, 1.0, 1.0, 0.0]]), losses, gradient)
    assert losses.tolist() == [500.0]
    assert gradient.tolist() == [[0.0, 0.0, -0.25, 0.25]]
    run("mean_absolute_error", "dense", far, far, losses, gradient)
    assert gradient.tolist() == [[0.0] * 4]
    signs = np.asarray([[1.0, -1.0, 1.0, -1.0]])
    run("hinge", "dense", signs, signs, losses, gradient)  # exactly at the margin
    assert (losses[0], gradient.tolist()) == (0.0, [[0.0] * 4])
    run("hinge", "dense", np.asarray([[np.nan, 2.0, 0.5, 0.5]]), signs, losses, gradient)
    assert np.isnan(losses[0])
    assert gradient[0, 1:].tolist() == [0.25, -0.25, 0.25]


def test_reference_cross_entropy_of_an_impossible_class():
    losses, gradient = np.empty(1), np.empty((1, 2))
    with np.errstate(invalid="ignore"):
        run(
            "softmax_cross_entropy",
            "integer",
            np.asarray([[-np.inf, 1.0]]),
            np.asarray([1]),
            losses,
            gradient,
        )
    assert losses.tolist() == [0.0]
    assert gradient.tolist() == [[0.0, 0.0]]


OPTIMIZERS = {
    "sgd": ("sgd", 1, (0.0, False), torch.optim.SGD, {}),
    "momentum": ("sgd", 1, (0.9, False), torch.optim.SGD, {"momentum": 0.9}),
    "nesterov": ("sgd", 1, (0.9, True), torch.optim.SGD, {"momentum": 0.9, "nesterov": True}),
    "adam": ("adam", 2, (0.8, 0.99, 1e-3), torch.optim.Adam, {"betas": (0.8, 0.99), "eps": 1e-3}),
    "adamw": (
        "adamw", 2, (0.8, 0.99, 1e-3, 0.3), torch.optim.AdamW,
        {"betas": (0.8, 0.99), "eps": 1e-3, "weight_decay": 0.3},
    ),
    "adagrad": ("adagrad", 1, (1e-3,), torch.optim.Adagrad, {"eps": 1e-3}),
    "rmsprop": ("rmsprop", 2, (0.9, 1e-3, 0.0), torch.optim.RMSprop, {"alpha": 0.9, "eps": 1e-3}),
    "rmsprop momentum": (
        "rmsprop", 2, (0.9, 1e-3, 0.7), torch.optim.RMSprop, {"alpha": 0.9, "eps": 1e-3, "momentum": 0.7},
    ),
}  # fmt: skip


@pytest.mark.parametrize(("name", "slots", "settings", "oracle", "options"), list(OPTIMIZERS.values()))
def test_reference_optimizer(name, slots, settings, oracle, options):
    rng = np.random.default_rng(6)
    p, control = rng.normal(size=9), np.asarray([0.05, 0.0, 0.0, 0.0])
    states = [np.zeros(9) for _ in range(slots)]
    leaf = T(p).requires_grad_()
    other = oracle([leaf], lr=0.05, **options)
    for _ in range(8):
        g = rng.normal(size=9)
        leaf.grad = T(g)
        other.step()
        run(name, p, g, *states, control, *settings)
        assert_close(p, leaf.detach().numpy(), TIGHT)
    assert control[3] == 8


def test_reference_penalty():
    w, g = np.random.default_rng(9).normal(size=(2, 20))
    w[3] = 0.0
    leaf = T(w).requires_grad_()
    (0.3 * leaf.abs().sum() + 0.7 * (leaf**2).sum()).backward()
    expected = g + leaf.grad.numpy()
    run("penalty", w, g, 0.3, 0.7)
    assert_close(g, expected, TIGHT)


@pytest.mark.parametrize("name", ["clip_norm", "clip_value"])
@pytest.mark.parametrize("limit", [1e-3, 0.5, 1e3])
@pytest.mark.parametrize("special", [None, np.nan, np.inf])
def test_reference_clipping(name, limit, special):
    g = np.random.default_rng(8).normal(size=40)
    if special is not None:
        g[3] = special
    leaf = torch.zeros(40, dtype=torch.float64, requires_grad=True)
    leaf.grad = T(g)
    getattr(torch.nn.utils, name.replace("clip", "clip_grad") + "_")([leaf], limit)
    before = g.copy()
    with np.errstate(invalid="ignore"):
        run(name, g, limit)
    assert_close(g, leaf.grad.numpy(), TIGHT)
    if special is None:
        assert np.array_equal(g, before) == (limit == 1e3)


def test_reference_gather_rows():
    pixels, out = np.asarray([[0, 51], [255, 102]], dtype=np.uint8), np.empty((3, 2))
    run("gather_rows", pixels, np.asarray([1, 0, 1]), out, 1 / 255)
    assert_close(out, np.asarray([[1.0, 0.4], [0.0, 0.2], [1.0, 0.4]]), 1e-15)


# Known answers of the Random123 distribution (kat_vectors, threefry2x32, 20 rounds).
KNOWN = {
    ((0, 0), (0, 0)): (0x6B200159, 0x99BA4EFE),
    ((0xFFFFFFFF, 0xFFFFFFFF), (0xFFFFFFFF, 0xFFFFFFFF)): (0x1CB996FC, 0xBB002BE7),
    ((0x13198A2E, 0x03707344), (0x243F6A88, 0x85A308D3)): (0xC4923A9C, 0x483DF7A0),
}


def test_threefry_known_answers(backend):
    for (key, counter), (first, second) in KNOWN.items():
        high, low = (backend.from_host(np.asarray([word])) for word in counter)
        out = backend.zeros(1, dtype=backend.xp.int64)
        backend.kernel("threefry")(key, high, low, out)
        assert int(backend.to_host(out)[0]) == (first >> 1) << 32 | second
