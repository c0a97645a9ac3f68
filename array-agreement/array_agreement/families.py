"""The arrays that a sweep calls functions with: families of numbers, shapes and matrices."""

import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from array_agreement.calls import map_parts
from array_agreement.functions import Expression

N_ELEMENTS = 1000
"""Elements of an elementwise call."""
LARGE = 0.46
"""Share of the largest exponent from which on a number is large: its square may overflow."""
SMALL = 2.0**10
"""Numbers below this multiple of the smallest normal number belong to the class "denormal"."""
FAMILIES: dict[str, dict[str, tuple[str, tuple[int, ...]]]] = {
    "elementwise": {
        **{name: (name, (N_ELEMENTS,)) for name in ("ordinary", "special", "large", "denormal")},
        "0-d": ("ordinary", ()),
        "empty": ("ordinary", (0,)),
    },
    "reduction": {
        "ordinary": ("ordinary", (4, 5)),
        **{name: (name, (3, 3)) for name in ("special", "large", "denormal")},
        **{f"width {n}": ("ordinary", (3, n)) for n in (1, 17, 65, 1025)},
        "long": ("ordinary", (1, 20001)),
        "long special": ("sparse", (1, 20001)),
        "empty": ("ordinary", (3, 0)),
    },
    "shape": {"ordinary": ("ordinary", (4, 6)), "special": ("special", (3, 5))},
    "matrix": {
        **{f"order {n}": ("ordinary", (n, n)) for n in (1, 2, 3, 9, 33)},
        **{
            f"{name} {n}": (name, (n, n))
            for name in ("diagonal", "graded", "scaled", "ill-conditioned")
            for n in (2, 4)
        },
    },
    "fourier": {
        **{f"width {n}": ("ordinary", (2, n)) for n in (1, 2, 8, 15, 31, 128)},
        "large": ("large", (2, 6)),
    },
}
"""``FAMILIES[group][family]`` is (kind of numbers, shape of the arrays)."""
FAMILIES["order"] = {k: v for k, v in FAMILIES["reduction"].items() if v[0] not in ("special", "sparse")}
POINTS = [0.0, 1.0, 2.0, 0.5, 10.0, *(np.pi / 2 * np.arange(1, 9)), 1 + 2.0**-20, 1 - 2.0**-12, 88.7, 709.7]
"""Branch points, zeros, ties of rounding and limits of exp."""


def classify(dtype: Any, *arrays: Any) -> Any:
    """Return the class of each element, one of CLASSES; the rarest argument counts.

    Args:
        dtype: the dtype that decides what is large
        arrays: the arguments, broadcast to one shape
    """
    found = np.full(np.broadcast_shapes(*map(np.shape, arrays)), 3)
    dtype = np.dtype(dtype)
    for x in arrays:
        if dtype.kind in "iu" and x.dtype.kind in "iu":
            found = np.where(np.abs(x.astype(np.longdouble)) > np.iinfo(dtype).max / 2, 2, found)
        if dtype.kind not in "fc" or x.dtype.kind not in "fc":
            continue
        info = np.finfo(dtype)
        for part in (x.real, x.imag) if x.dtype.kind == "c" else (x,):
            size = np.abs(part)
            found = np.where(size >= 2.0 ** (LARGE * info.maxexp), np.minimum(found, 2), found)
            found = np.where((size > 0) & (size < SMALL * info.smallest_normal), np.minimum(found, 1), found)
            found = np.where(np.isfinite(size), found, 0)
    return np.asarray(CLASSES)[found]


CLASSES = ("special", "denormal", "large", "ordinary")


def numbers(kind: str, dtype: Any, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Return random numbers of a kind: "ordinary", "special", "large", "denormal" or "sparse"."""
    dtype = np.dtype(dtype)
    if dtype.kind == "c":
        real, imag = (numbers(kind, dtype.type().real.dtype, shape, rng) for _ in range(2))
        imag = np.where(rng.random(shape) < 0.1, 0, imag)
        z = np.empty(shape, dtype)
        z.real, z.imag = real, imag
        return z
    if dtype.kind == "b":
        return rng.random(shape) < 0.5
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        limits = np.asarray([info.min, info.max, info.max - 1, info.max // 2 + 1, info.min + 1, 0, 1], dtype)
        small = rng.integers(max(info.min, -9), 10, shape)
        return rng.choice(limits, shape) if kind in ("large", "special") else small.astype(dtype)
    finfo: Any = np.finfo(dtype)
    sign = rng.choice([-1, 1], shape)
    tiny = float(finfo.smallest_normal)
    if kind == "special":
        values = [0.0, -0.0, 1, -1, tiny, -tiny, finfo.max, np.inf, -np.inf, np.nan]
        return rng.choice(np.asarray(values, dtype), shape)
    if kind == "sparse":
        x = np.zeros(shape)
        x.flat[rng.integers(x.size)] = rng.choice([np.nan, np.inf])
        return x.astype(dtype)
    if kind == "large":
        x = sign * 2.0 ** (finfo.maxexp * rng.uniform(LARGE, 1, shape))
        return np.asarray(x, dtype)
    if kind == "denormal":
        x = sign * np.ldexp(tiny, rng.integers(1 - finfo.nmant, 10, shape)) * rng.uniform(1, 2, shape)
        return np.asarray(np.where(rng.random(shape) < 0.2, sign * tiny, x), dtype)
    x = rng.normal(size=shape) * 10 ** rng.uniform(-4, 2.5, shape)
    near = sign * rng.choice(POINTS, shape) * (1 + finfo.eps * rng.integers(-2, 3, shape))
    return np.asarray(np.where(rng.random(shape) < 0.3, near, x), dtype)


def matrix(kind: str, dtype: Any, n: int, rng: np.random.Generator) -> np.ndarray:
    """A matrix: "ordinary", "diagonal" and large, "graded", "scaled" to be large or "ill-conditioned"."""
    dtype = np.dtype(dtype)
    if dtype.kind in "iu":
        return rng.integers(0, 10, (n, n)).astype(dtype)
    a: Any = rng.normal(size=(n, n)) + (1j * rng.normal(size=(n, n)) if dtype.kind == "c" else 0)
    powers = 2.0 ** np.arange(0, 8 * n, 8)
    large = 2.0 ** (int(np.finfo(dtype).maxexp * LARGE) + 2)
    if kind == "diagonal":
        a = np.diag(np.arange(1.0, n + 1)) * large
    if kind == "scaled":
        a *= large
    if kind == "graded":
        a = powers[:, None] * a / powers
    if kind == "ill-conditioned":
        a[-1] = a[0] * (1 + 2.0**-10)
        a[-1, 0] += 2.0**-10
    return np.asarray(a, dtype)


def draw(expression: Expression, dtype: str, family: str, seed: int = 0) -> dict[str, np.ndarray]:
    """Return the arrays that an expression is called with, by name. A second call returns equal arrays."""
    kind, shape = FAMILIES[expression.group][family]
    rng = np.random.default_rng([seed, zlib.crc32(f"{expression.text} {dtype} {family}".encode())])
    if expression.group == "matrix":
        a = matrix(kind, dtype, shape[0], rng)
        adjoint = np.conj(a.T)
        found = {"A": a, "B": matrix("ordinary", dtype, shape[0], rng), "S": (a + adjoint) / 2}
        scale = np.abs(a).max() * shape[0] if np.dtype(dtype).kind in "fc" else 1
        found["P"] = a @ adjoint / scale + np.eye(shape[0]) * scale
    else:
        found = {"x": numbers(kind, dtype, shape, rng), "y": numbers(kind, dtype, shape, rng)}
        if kind == "ordinary" and np.dtype(dtype).kind == "f":  # cancellation
            close = found["x"] * (1 + np.finfo(dtype).eps * rng.integers(-3, 4, shape))
            found["y"] = np.where(rng.random(shape) < 0.3, close, found["y"])
        if (
            expression.group != "elementwise" and kind == "special" and np.dtype(dtype).kind in "fc"
        ):  # no overflow of sums
            found = {
                n: map_parts(lambda v: np.where(np.abs(v) > 1, np.sign(v) * np.inf, v), x)
                for n, x in found.items()
            }
        found["s"] = np.sort(found["x"], axis=None)
        found["i"] = rng.integers(0, max(shape[-1:], default=1) or 1, 3)
    types = {"i": np.dtype(np.int64)}
    return {name: np.asarray(found[name]).astype(types.get(name, dtype)) for name in expression.arguments}


def families(expression: Expression, dtype: str) -> Iterator[str]:
    """Yield the names of the families for an expression; integers and booleans have fewer."""
    kind = np.dtype(dtype).kind
    rare = {"b": ["special", "large", "denormal"], "f": [], "c": []}
    skipped = rare.get(
        kind, ["special", "denormal", "long special", "graded 2", "graded 4", "scaled 2", "scaled 4"]
    )
    if dtype not in ("bool", "int32", "float32", "complex64"):
        skipped = [*skipped, "0-d", "empty", *([f"width {n}" for n in (1, 17, 65)] if kind in "iu" else [])]
    yield from (family for family in FAMILIES[expression.group] if family not in skipped)
