"""An optimizer's step in pieces, for threads that share it."""

from collections.abc import Callable, Sequence
from functools import partial

from backends import Array
from dnn.optimizers.optimizer import Optimizer, OptimizerState


def pieces(state: OptimizerState, places: Sequence[slice], gradients: Array) -> list[Callable[[], None]]:
    """What comes first in ``state.step``, and then its work on each of these places of the vectors, for so
    many threads, from these gradients (n,). Empty: it clips, or is of somebody who may look at all places.
    """
    optimizer, (values, _, slots, control) = state.optimizer, state.arrays
    clips = optimizer.clip_norm is not None or optimizer.clip_value is not None
    if type(optimizer).bind is not Optimizer.bind or clips:
        return []
    controls = [control, *(control + 0.0 for _ in places[1:])]

    def first() -> None:
        for part in state.parts[:-1]:
            part()
        for copied in controls[1:]:
            copied[...] = control

    settings = optimizer.settings()
    return [first, *(
        partial(state.kernel, values[p], gradients[p], tuple(slot[p] for slot in slots), own, settings)
        for p, own in zip(places, controls, strict=True)
    )]  # fmt: skip
