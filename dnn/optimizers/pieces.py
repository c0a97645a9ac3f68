"""The optimizer's step in pieces, which several threads take at the same time."""

from collections.abc import Callable, Sequence
from functools import partial

from backends import Array
from dnn.optimizers.optimizer import OptimizerState
from dnn.parameters import Parameters


def pieces(
    state: OptimizerState, parameters: Parameters, gradients: Array, places: Sequence[slice]
) -> list[Callable[[], None]]:
    """What comes first in ``state.step``, and then its work on each of these places of the vectors, with
    these gradients (n,). Empty: it does more than its kernel.
    """
    optimizer = state.optimizer
    if not optimizer.kernel_alone:
        return []
    controls = [state.control, *(state.control + 0.0 for _ in places[1:])]
    kernel, settings = optimizer.bind(parameters.backend), optimizer.settings()

    def first() -> None:
        for part in state.parts[:-1]:
            part()
        for copied in controls[1:]:
            copied[...] = state.control

    def piece(place: slice, control: Array) -> Callable[[], None]:
        slots = tuple(vector[place] for vector in state.vectors.values())
        return partial(kernel, parameters.values[place], gradients[place], slots, control, settings)

    return [first, *map(piece, places, controls)]
