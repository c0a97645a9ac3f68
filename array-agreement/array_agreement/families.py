"""The arrays that a sweep calls functions with: families of numbers, shapes and matrices."""

import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from array_agreement.functions import Expression
from array_agreement.targets import words

LARGE = 0.46
"""Share of the largest exponent from which on a number is large: its square may overflow."""
SMALL = 2.0**10
"""Numbers below this multiple of the smallest normal number belong to the class "denormal"."""
FAMILIES = {
    "elementwise": "ordinary 1000, special 1000, large 1000, denormal 1000, ordinary, ordinary 0",
    "reduction": "ordinary 4 5, infinite 3 3, large 3 3, denormal 3 3, ordinary 3 0, ordinary 3 1, "
    "ordinary 3 17, ordinary 3 65, ordinary 3 1025, ordinary 1 20001, sparse 1 20001",
    "order": "ordinary 4 5, large 3 3, denormal 3 3, ordinary 3 0, ordinary 3 1, ordinary 3 17, "
    "ordinary 3 65, ordinary 3 1025, ordinary 1 20001",
    "shape": "ordinary 4 6, infinite 3 5",
    "matrix": "ordinary 1, ordinary 2, ordinary 3, ordinary 9, ordinary 33, diagonal 2, diagonal 4, "
    "graded 2, graded 4, scaled 2, scaled 4, ill-conditioned 2, ill-conditioned 4",
    "fourier": "ordinary 2 1, ordinary 2 2, ordinary 2 8, ordinary 2 15, ordinary 2 31, ordinary 2 128, "
    "large 2 6",
}
"""Group -> its families, each with the kind of numbers and the shape of the arrays; a matrix has an order."""
POINTS = [0.0, 1.0, 2.0, 0.5, 10.0, *(np.pi / 2 * np.arange(1, 9)), 1 + 2.0**-20, 1 - 2.0**-12, 88.7, 709.7]
"""Branch points, zeros, ties of rounding and limits of exp."""
CLASSES = words("special denormal large ordinary")


def classify(dtype: Any, *arrays: Any) -> Any:
    """Return the class of each element, one of CLASSES; the rarest argument counts.

    Args:
        dtype: the dtype that decides what is large
        arrays: the arguments, broadcast to one shape
    """
    dtype = np.dtype(dtype)
    small, large = 0.0, np.inf
    if dtype.kind in "iu":
        large = np.iinfo(dtype).max / 2
    elif dtype.kind in "fc":
        info: Any = np.finfo(dtype)
        small, large = SMALL * info.smallest_normal, 2.0 ** (LARGE * info.maxexp)
    parts = np.broadcast_arrays(*(part for x in arrays for part in (np.real(x), np.imag(x))))
    size = np.abs(np.asarray(parts, np.longdouble))
    is_rare = ~np.isfinite(size), (size > 0) & (size < small), size >= large
    return np.select([np.any(x, axis=0) for x in is_rare], CLASSES[:3], CLASSES[3])


def numbers(kind: str, dtype: Any, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Return random numbers: "ordinary", "special", "infinite", "large", "denormal" or "sparse" ones."""
    dtype = np.dtype(dtype)
    if dtype.kind == "c":
        parts = numbers(kind, dtype.type().real.dtype, (*shape, 2), rng)
        parts[rng.random(shape) < 0.1, 1] = 0
        return np.asarray(parts.view(dtype)[..., 0])
    if dtype.kind == "b":
        return rng.random(shape) < 0.5
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        limits = [info.min, info.max, info.max - 1, info.max // 2 + 1, info.min + 1, 0, 1]
        pool = range(max(info.min, -9), 10) if kind == "ordinary" else limits
        return rng.choice(np.asarray(pool, dtype), shape)
    finfo: Any = np.finfo(dtype)
    tiny = float(finfo.smallest_normal)
    x: Any = rng.choice([0.0, 1.0, np.inf, np.nan, *([tiny, finfo.max] if kind == "special" else [])], shape)
    if kind == "sparse":
        x = np.zeros(shape)
        x.flat[rng.integers(x.size)] = rng.choice([np.nan, np.inf])
    elif kind == "large":
        x = 2.0 ** (finfo.maxexp * rng.uniform(LARGE, 1, shape))
    elif kind == "denormal":
        x = tiny * 2.0 ** rng.integers(1 - finfo.nmant, 10, shape) * rng.uniform(1, 2, shape)
    elif kind == "ordinary":
        near = rng.choice(POINTS, shape) * (1 + finfo.eps * rng.integers(-2, 3, shape))
        x = np.where(
            rng.random(shape) < 0.3, near, rng.normal(size=shape) * 10 ** rng.uniform(-4, 2.5, shape)
        )
    sign = rng.choice([-1, 1], shape) if kind != "sparse" else 1  # equal zeros are short in a program
    return np.asarray(sign * x, dtype)


def matrix(kind: str, dtype: Any, n: int, rng: np.random.Generator) -> np.ndarray:
    """A matrix: "ordinary", "diagonal" and large, "graded", "scaled" to be large or "ill-conditioned"."""
    dtype = np.dtype(dtype)
    if dtype.kind in "iu":
        return numbers(kind, dtype, (n, n), rng)
    a: Any = rng.normal(size=(n, n)) + (1j * rng.normal(size=(n, n)) if dtype.kind == "c" else 0)
    large = 2.0 ** (int(np.finfo(dtype).maxexp * LARGE) + 2)
    if kind == "diagonal":
        a = np.diag(np.arange(1.0, n + 1)) * large
    elif kind == "scaled":
        a *= large
    elif kind == "graded":
        powers = 2.0 ** np.arange(0, 8 * n, 8)
        a = powers[:, None] * a / powers
    elif kind == "ill-conditioned":
        a[-1] = a[0] * (1 + 2.0**-10)
        a[-1, 0] += 2.0**-10
    return np.asarray(a, dtype)


def draw(expression: Expression, dtype: str, family: str) -> dict[str, np.ndarray]:
    """Return the arrays that an expression is called with, by name. A second call returns equal arrays."""
    kind, *sizes = family.split()
    shape = tuple(map(int, sizes))
    rng = np.random.default_rng(zlib.crc32(f"{expression.text} {dtype} {family}".encode()))
    found: dict[str, Any]
    if expression.group == "matrix":
        a = matrix(kind, dtype, shape[0], rng)
        adjoint = np.conj(a.T)
        size = np.abs(a).max() * len(a)
        positive = a @ adjoint / size + size * np.eye(len(a))
        found = {"A": a, "B": matrix("ordinary", dtype, shape[0], rng), "S": (a + adjoint) / 2, "P": positive}
    else:
        x, y = (numbers(kind, dtype, shape, rng) for _ in "xy")
        if kind == "ordinary" and x.dtype.kind in "fc":  # cancellation
            close = x * (1 + np.finfo(dtype).eps * rng.integers(-3, 4, shape))
            y = np.where(rng.random(shape) < 0.3, close, y)
        i = rng.integers(0, max(shape[-1:], default=1) or 1, 3)
        found = {"x": x, "y": y, "s": np.sort(x, axis=None), "i": i}
    return {name: np.asarray(found[name], int if name == "i" else dtype) for name in expression.arguments}


def families(expression: Expression, dtype: str) -> Iterator[str]:
    """Yield the names of the families for an expression; integers and booleans have fewer."""
    is_inexact = np.dtype(dtype).kind in "fc"
    limit = None if is_inexact or dtype in ("bool", "int32") else 4
    for family in FAMILIES[expression.group].split(", ")[:limit]:
        if is_inexact or family.startswith(("ordinary", "large")):
            yield family
