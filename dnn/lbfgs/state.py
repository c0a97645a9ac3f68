"""LBFGS: the settings. State: everything that the next iteration needs, which can be saved to a file."""

from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from backends import Array, Backend
from backends.errors import reraise, shorten
from dnn.io import safetensors as tensor_files
from dnn.io.safetensors import CheckpointError
from dnn.lbfgs.direction import CurvaturePair, dot
from dnn.parameters import copy_to_host
from dnn.settings.base import Settings
from dnn.settings.checks import Count, NotNegative, require_kind, require_path
from dnn.training.state import MADE_WITH, backend_facts, warn_if_backend_differs
from dnn.typing import HostArrays, Json

FORMAT, VERSION = "array-api-dnn-lbfgs", 3
HISTORY_NAMES = ("evaluations", "loss", "gradient_norm")


class LBFGS(Settings):
    """Settings of limited-memory BFGS (Liu and Nocedal 1989).

    A line search that ``max_evaluations`` interrupts is repeated when the minimisation continues. The
    minimisation stops after ten iterations that together lowered f by less than ``decrease_tolerance`` |f|;
    after one iteration if the tolerance is larger than the square root of the dtype's epsilon.
    """

    memory: Count = 10  # number of stored steps, usually 3 to 20; each needs two vectors
    max_iterations: Count = 100  # per call
    max_evaluations: Count = 10_000  # per call
    gradient_tolerance: NotNegative = 1e-5  # stop if no entry of the gradient is larger
    decrease_tolerance: NotNegative = 1e-12  # relative to f; 0: no such test


class Reason(StrEnum):
    """Why a minimisation stopped. Only GRADIENT means that a minimum was found.

    After ROUNDING and LINE_SEARCH there is usually no better point in this dtype, provided that the gradient
    is correct.
    """

    GRADIENT = "gradient_tolerance"  # no entry of the gradient is larger than the setting
    DECREASE = "decrease_tolerance"  # the last iterations lowered f by less than the setting
    ROUNDING = "rounding"  # ten iterations lowered neither f nor the gradient
    ITERATIONS = "max_iterations"
    EVALUATIONS = "max_evaluations"
    LINE_SEARCH = "line_search_failed"  # no lower point was found along -H g, nor along -g
    NON_FINITE = "non_finite"  # f or its gradient is not finite at the start

    @property
    def converged(self) -> bool:
        """Whether the gradient is within ``gradient_tolerance``."""
        return self is Reason.GRADIENT


@dataclass(eq=False)
class State:
    """The current iterate x and the stored steps; equal states lead to equal iterates, also from a file."""

    point: Array  # x, (n,) in the backend's dtype
    gradient: Array = None  # g(x), (n,); None before the first run
    pairs: list[CurvaturePair] = field(default_factory=list)  # the last few steps, oldest first
    evaluations: int = 0  # calls of the function, including failed and interrupted line searches
    # One entry for the start and one per iteration: "evaluations" so far, "loss" f(x), and "gradient_norm",
    # the largest absolute entry of g(x).
    history: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in HISTORY_NAMES})
    reason: Reason | None = None  # why the last run stopped; None while it runs

    @property
    def value(self) -> float:
        """f(x)."""
        return self.history["loss"][-1]

    @property
    def iterations(self) -> int:
        """Number of steps taken so far."""
        return len(self.history["loss"]) - 1

    def record(self, xp: Any, value: float, gradient: Array, **changes: Any) -> None:
        """Append f(x) = ``value`` to the history, and set g(x) and the changed attributes of this iterate.

        All change at once, so an exception at any line, such as KeyboardInterrupt, leaves a valid state.
        """
        largest = float(xp.max(xp.abs(gradient)))
        row = zip(HISTORY_NAMES, (self.evaluations, value, largest), strict=True)
        history = {name: [*self.history[name], number] for name, number in row}
        vars(self).update(changes, gradient=gradient, history=history)


def save_state(state: State, path: str | Path, backend: Backend) -> None:
    """Write the state, replacing an older file atomically. Raises CheckpointError: it cannot be written."""
    require_kind("backend", backend, Backend).check("state", require_kind("state", state, State).point)
    vectors = {"point": state.point, "gradient": state.gradient}
    for i, pair in enumerate(state.pairs):
        vectors |= {f"s_{i}": pair.s, f"y_{i}": pair.y}
    content = {
        "dtype": backend.dtype_name, "evaluations": state.evaluations, "history": state.history,
        "reason": state.reason, MADE_WITH: backend_facts(backend),
    }  # fmt: skip
    arrays = copy_to_host(backend, vectors)
    with reraise(OSError, f"state {path} cannot be written:", error_type=CheckpointError):
        tensor_files.write(require_path("path", path), FORMAT, VERSION, content, arrays)


def load_state(path: str | Path, backend: Backend) -> State:
    """Load a state onto this backend; any backend may have written it.

    Raises CheckpointError: missing, corrupt, of another program, version or dtype, or inconsistent.
    """
    path = require_path("path", path)
    content, arrays = tensor_files.read(path, FORMAT, VERSION, "state", CheckpointError)
    if content.get("dtype") != require_kind("backend", backend, Backend).dtype_name:
        got = f"state {path} has dtype {shorten(repr(content.get('dtype')))}"
        raise CheckpointError(got, backend.dtype_name, "get the backend with it")
    kinds = KeyError, TypeError, ValueError, OverflowError
    with reraise(kinds, f"state {path} is inconsistent:", error_type=CheckpointError):
        state = _assemble(content, arrays, backend)
        before = require_kind(MADE_WITH, content[MADE_WITH], dict)
    warn_if_backend_differs(before, backend_facts(backend))
    return state


def _assemble(content: Json, arrays: HostArrays, backend: Backend) -> State:
    """Build the state from the contents of a file.

    Raises KeyError, TypeError, ValueError or OverflowError: the contents are inconsistent, or no
    minimisation could have written them.
    """
    n_pairs = len(arrays) // 2 - 1
    names = ["point", "gradient", *(f"{letter}_{i}" for i in range(n_pairs) for letter in "sy")]
    shape = arrays["point"].shape
    finite = [array for name, array in arrays.items() if name != "gradient"]
    reason = None if content["reason"] is None else Reason(content["reason"])
    history = {name: content["history"][name] for name in HISTORY_NAMES}
    counts, losses, norms = history.values()
    evaluations = content["evaluations"]
    largest = np.max(np.abs(arrays["gradient"]))
    if not (
        set(arrays) == set(names)
        and all((*a.shape, str(a.dtype)) == (*shape, backend.dtype_name) for a in arrays.values())
        and len(shape) == 1
        and np.all(np.isfinite(finite))
        and all(type(count) is int for count in (*counts, evaluations))
        and all(type(number) in (int, float) for number in (*losses, *norms))
        and n_pairs < len(counts) == len(losses) == len(norms)
        and all(a < b for a, b in pairwise([0, *counts, evaluations + 1]))
        and np.array_equal(norms[-1:], [largest], equal_nan=True)
        and (reason is Reason.NON_FINITE or np.all(np.isfinite([*losses, largest])))
    ):
        raise ValueError("its vectors, history and counts do not fit together")
    point, gradient, *steps = (backend.from_host(arrays[name].copy()) for name in names)
    pairs = []
    for s, y in zip(steps[::2], steps[1::2], strict=True):
        sy = dot(backend.xp, s, y)
        if not sy > 0.0:
            raise ValueError("the curvature s . y of a step is not positive")
        pairs.append(CurvaturePair(s, y, 1.0 / sy))
    return State(point, gradient, pairs, evaluations, history, reason)
