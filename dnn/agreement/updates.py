"""L3: compare single updates of every optimizer from given states.

*Steps of a training.* The oracle trains in float64. Before each step all contenders and the oracle load the
oracle's state, cast to float32, and make one update from the oracle's gradient. It is given because Adam
normalises it: a weight with a gradient of mere rounding noise moves by the full learning rate in a random
direction, in every library.

*Late updates.* Updates after a thousand others, and from states that only long trainings reach. These states
are constructed, since the correct update from any state is known.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from backends.reference.control import BIAS_1, BIAS_2, RATE, UPDATES
from backends.reference.optimizers import FLUSH_EVERY
from dnn.agreement import bounds
from dnn.agreement.cases import SLOT_TRANSFORMS, Case, optimizer_variants
from dnn.agreement.contender import Network
from dnn.agreement.networks import batch_without_kinks
from dnn.agreement.records import Record, worst_records
from dnn.agreement.setup import Setup
from dnn.agreement.state import Named, State, round_named
from dnn.optimizers import Adam

UNSEEN_UPDATES = 1050
"""Number of updates made before the first one that is compared."""
UPDATE_COUNTS = (0, 31, 127, 255, 999, 1023, 2047, 2500, 32767, 65535, 999_999, 2**24 - 3)
"""Update counts of the constructed states: near powers of two, where narrower counters overflow, up to the
last integer that float32 can count to. The update after 31 others flushes tiny moments to 0."""


def compare_updates(
    setup: Setup, truth: Network, others: Sequence[Network], state: State, given: Named, note: str, n: int = 1
) -> list[Record]:
    """Compare parameters, slots and the update count after n updates from a state with given gradients.

    Args:
        truth: the oracle's network. others: the contenders' networks. note: for the records.
    """

    def ask(network: Network) -> Named:
        network.load(state)
        network.repeat(given, n)
        return network.state().tensors()

    expected = ask(truth)
    before = state.tensors()

    def bound(tensor: str, unit: float) -> float:
        after = expected[tensor]
        if tensor.startswith("new "):
            return n * bounds.update(after, after - before[tensor], truth.case.optimizer.decays)
        return 0.0 if tensor == "updates done" else n * bounds.slot(after)

    return setup.judge(truth.case.name, ask, bound, note=note, expected=expected, sources=others)


def resynchronised_level(setup: Setup) -> Iterator[Record]:
    """Compare every optimizer on a relu network with cross-entropy; yield the worst step for each tensor."""
    for name, optimizer in optimizer_variants():
        case = setup.data.case(f"-{name}", setup.sizes.small, optimizer, setup.seed)
        truth, others = setup.open(case)
        state = truth.state()
        found: list[Record] = []
        for step in range(setup.sizes.resynchronised):
            start = state.round_to("float32")
            truth.load(start)
            expected = truth.compute(*batch_without_kinks(setup, case, truth, step))
            given = round_named({k[2:]: v for k, v in expected.items() if k.startswith("d ")})
            found += compare_updates(setup, truth, others, start, given, f"step {step}")
            state = truth.state()
        yield from worst_records(found)


def state_scales(done: int) -> tuple[tuple[float, float], ...]:
    """Return two pairs (scale of gradients and moments, scale of parameters).

    In the second pair the parameters are so small that the step dominates the new ones. Before an update that
    flushes tiny moments to 0, its moments are small but above the threshold.
    """
    return (0.1, 1.0), (1e-12 if (done + 1) % FLUSH_EVERY == 0 else 0.1, 1e-3)


def late_level(setup: Setup) -> Iterator[Record]:
    """Compare late updates of every optimizer; yield the worst for each tensor."""
    seen: set[str] = set()
    for number, (name, optimizer) in enumerate(optimizer_variants()):
        case = Case(f"late {name}", 7, (5,), 3, "tanh", "categorical_crossentropy", optimizer, setup.seed)
        yield from _judge_late(setup, case, 100 * number, UNSEEN_UPDATES * (optimizer.kernel not in seen))
        seen.add(optimizer.kernel)


def _judge_late(setup: Setup, case: Case, stream: int, unseen: int) -> list[Record]:
    truth, others = setup.open(case)
    weights = case.weights()

    def draw_vectors(purpose: str) -> Named:
        return {
            k: setup.normal(f"late {purpose}", w.shape, stream + i).astype(np.float64)
            for i, (k, w) in enumerate(weights.items())
        }

    g = draw_vectors("gradients")
    moments = draw_vectors("moments")
    for vector in g.values():
        vector[..., ::4] = 0.0  # moments decay even without a gradient
    for network in others if unseen else ():
        network.repeat(g, unseen)
    start = truth.state()
    found = list[Record]()
    for done, scale, small in ((n, *pair) for n in UPDATE_COUNTS for pair in state_scales(n)):
        slots = {
            slot: {k: SLOT_TRANSFORMS.get(slot, np.asarray)(scale * m) for k, m in moments.items()}
            for slot in start.slots
        }
        control = np.array(start.control)
        control[RATE] *= 1 + done % 3  # as a schedule would change it
        control[UPDATES] = done
        if isinstance(case.optimizer, Adam):
            control[BIAS_1] = 1.0 - case.optimizer.beta1**done
            control[BIAS_2] = 1.0 - case.optimizer.beta2**done
        values = {k: small * w.astype(np.float64) for k, w in weights.items()}
        state = State(values, slots, control).round_to("float32")
        given = round_named({k: scale * v for k, v in g.items()})
        note = f"updates {done + 1} and {done + 2}, gradients of {scale:g}"
        found += compare_updates(setup, truth, others, state, given, note, 2)
    return worst_records(found)
