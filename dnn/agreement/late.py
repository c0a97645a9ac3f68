"""L3: updates late in a training: after a thousand others, and from states that only long trainings reach.

A state is made up rather than trained: the right update from it is known all the same.
"""

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

import numpy as np

from backends.reference.control import BIAS_1, BIAS_2, RATE, UPDATES
from backends.reference.optimizers import FLUSH_EVERY
from dnn.agreement.cases import Case, optimizer_variants, unusual_optimizers
from dnn.agreement.records import Record, worst_of_each
from dnn.agreement.resynchronised import compare_updates
from dnn.agreement.setup import Setup
from dnn.agreement.state import State
from dnn.optimizers import Adam

BEFORE = 1050
"""Updates that are made, unseen, before the first that is measured."""
DONE = (0, 31, 127, 255, 999, 1023, 2047, 2500, 32767, 65535, 999_999, 2**24 - 3)
"""Counts of updates done: beside powers of two, where a count in fewer bits ends, to the last that float32
can count. After 31 comes one that sets tiny moments to 0."""
MADE_UP: Mapping[str, Callable[[np.ndarray], np.ndarray]] = MappingProxyType({
    "v": np.square, "total": np.square, "largest": np.square, "mean": lambda m: m / 2,
})  # fmt: skip
"""What a vector is made of: what sums up squares is a square, and the square of a mean is less than that."""


def usual(m: np.ndarray) -> np.ndarray:
    """A velocity, or a mean of gradients."""
    return m


def scales(done: int) -> tuple[tuple[float, float], ...]:
    """(of gradients and moments, of parameters): usual ones; and parameters so small that the step is most of
    the new ones, with moments that are small but must stay where tiny ones are set to 0."""
    return (0.1, 1.0), (1e-12 if (done + 1) % FLUSH_EVERY == 0 else 0.1, 1e-3)


def late_level(setup: Setup) -> Iterator[Record]:
    """Every optimizer, also with unusual settings; the worst of the counts for each tensor."""
    unusual = dict(unusual_optimizers())
    for number, (name, optimizer) in enumerate([*optimizer_variants(), *unusual.items()]):
        # Kernels work in blocks, of which the larger network fills more than one.
        n, hidden = (7, 5) if name in unusual else (640, 41)
        loss = "categorical_crossentropy"
        case = Case(f"late {name}", n, (hidden,), 3, "tanh", loss, optimizer, setup.seed)
        yield from _judge_late(setup, case, 100 * number, BEFORE if name in unusual else 0)


def _judge_late(setup: Setup, case: Case, stream: int, unseen: int) -> list[Record]:
    truth, others = setup.open(case)
    weights = {k: w.astype(np.float64) for k, w in case.weights().items()}
    g, moments = (
        {
            k: setup.normal(f"late {purpose}", w.shape, stream + i).astype(np.float64)
            for i, (k, w) in enumerate(weights.items())
        }
        for purpose in ("gradients", "moments")
    )
    for vector in g.values():
        vector[..., ::4] = 0.0  # an update all the same: moments fade
    for network in others if unseen else ():
        network.repeat(g, unseen)
    start = truth.state()
    found = list[Record]()
    for done, scale, small in ((n, *pair) for n in DONE for pair in scales(n)):
        made = {k: scale * m for k, m in moments.items()}
        slots = {slot: {k: MADE_UP.get(slot, usual)(m) for k, m in made.items()} for slot in start.slots}
        control = np.array(start.control)
        control[RATE] *= 1 + done % 3  # as of a schedule
        control[UPDATES] = done
        if isinstance(case.optimizer, Adam):
            control[BIAS_1] = 1.0 - case.optimizer.beta1**done
            control[BIAS_2] = 1.0 - case.optimizer.beta2**done
        values = {k: small * w for k, w in weights.items()}
        state = State(values, slots, control).rounded("float32")
        for network in (truth, *others):
            network.load(state)
        given = {
            k: (scale * v.astype(np.float64)).astype(np.float32).astype(np.float64) for k, v in g.items()
        }
        note = f"updates {done + 1} and {done + 2}, gradients of {scale:g}"
        found += compare_updates(setup.level, case, truth, others, state, given, note, 2)
    return worst_of_each(found)
