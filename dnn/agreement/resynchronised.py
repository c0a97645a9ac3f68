"""L3: steps of training in float32, each started from the oracle's state.

The oracle trains in float64. Before each step its state, cast to float32, is put into everyone (and into
a second oracle), who then do the same work: forward and backward, bounded as in L2, and one update from
one given gradient. The update gets a given gradient since Adam divides by it: a weight whose gradient is
rounding noise moves by the full rate in a direction that is rounding noise, in every library.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from dnn.agreement import bounds
from dnn.agreement.cases import Case, optimizer_variants
from dnn.agreement.contender import Network
from dnn.agreement.networks import batch_of, compare
from dnn.agreement.records import Record, judge, worst_of_each
from dnn.agreement.setup import Setup
from dnn.agreement.state import Named, State


def resynchronised_level(setup: Setup) -> Iterator[Record]:
    """Every optimizer on a relu network with cross-entropy; the worst step for each tensor."""
    data = setup.data
    sizes = setup.sizes
    for name, optimizer in optimizer_variants():
        case = data.case(f"-{name}", sizes.small, optimizer, setup.seed)
        leader = setup.oracle.open(case)
        truth, others = setup.open(case)
        found: list[Record] = []
        for step in range(sizes.resynchronised):
            state = leader.state().rounded("float32")
            truth.load(state)
            x, y = batch_of(case, data, truth, sizes, step)
            for network in others:
                network.load(state)
            found += compare(setup.level, case, truth, others, x, y, f"step {step}")
            given = {k: v.astype(np.float32).astype(np.float64) for k, v in truth.gradients(x, y).items()}
            found += compare_updates(setup.level, case, truth, others, state, given, f"step {step}")
            leader.step(x, y)
        yield from worst_of_each(found)


def compare_updates(
    level: str, case: Case, truth: Network, others: Sequence[Network], state: State, given: Named, note: str,
    n: int = 1,
) -> list[Record]:  # fmt: skip
    """Records of n updates from given gradients: parameters, the optimizer's vectors, its count."""

    def ask(network: Network) -> Named:
        network.repeat(given, n)
        return network.state().tensors()

    wanted = ask(truth)
    before = state.tensors()

    def bound(tensor: str, unit: float) -> float:
        after = wanted[tensor]
        if tensor.startswith("new "):
            return n * bounds.update(after, after - before[tensor], case.optimizer.decays)
        return 0.0 if tensor == "updates done" else n * bounds.slot(after)

    return judge(level, case.name, wanted, others, ask, bound, note=note)
