"""L3: steps of training in float32, each started from the oracle's state.

The oracle trains in float64. Before each step its state, cast to float32, is put into everyone (and into
a second oracle), who then do the same work: forward and backward, bounded as in L2, and one update from
one given gradient. The update gets a given gradient since Adam divides by it: a weight whose gradient is
rounding noise moves by the full rate in a direction that is rounding noise, in every library.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from dnn.agreement import bounds
from dnn.agreement.cases import Case, Data, optimizer_variants
from dnn.agreement.contender import Contender, Network
from dnn.agreement.networks import MAIN, batch_of, compare
from dnn.agreement.records import Record, refused, worst_of_each
from dnn.agreement.sizes import Sizes
from dnn.agreement.state import Misfit, Named, State

LEVEL = "L3"


def resynchronised_level(
    contenders: Sequence[Contender], oracle: Contender, data: Data, sizes: Sizes, seed: int
) -> Iterator[Record]:
    """Every optimizer on a relu network with cross-entropy; the worst step for each tensor."""
    activation, loss = MAIN
    for name, optimizer in optimizer_variants():
        widths = "-".join(map(str, (data.x.shape[1], *sizes.small, data.classes)))
        case = Case(f"{widths} {name}", data.x.shape[1], sizes.small, data.classes,
                    activation, loss, optimizer, seed)  # fmt: skip
        leader, truth = oracle.open(case, "float64"), oracle.open(case, "float64")
        others = [(c.name, c.open(case)) for c in contenders]
        found: list[Record] = []
        for step in range(sizes.resynchronised):
            state = leader.state().rounded("float32")
            truth.load(state)
            x, y = batch_of(case, data, truth, sizes, step)
            for _, network in others:
                network.load(state)
            found += compare(LEVEL, case, truth, others, x, y, f"step {step}")
            given = {k: v.astype(np.float32).astype(np.float64) for k, v in truth.gradients(x, y).items()}
            found += _compare_updates(case, truth, others, state, given, f"step {step}")
            leader.step(x, y)
        yield from worst_of_each(found)


def _compare_updates(
    case: Case, truth: Network, others: Sequence[tuple[str, Network]],
    state: State, given: Named, note: str,
) -> Iterator[Record]:  # fmt: skip
    truth.update(given)
    after64 = truth.state()
    for backend, network in others:
        try:
            network.update(given)
            after = network.state()
        except Misfit as error:
            yield refused(LEVEL, case.name, backend, error)
            continue
        for name, p64 in after64.values.items():
            bound = bounds.update(p64, p64 - state.values[name], case.optimizer.decays)
            measured = bounds.eta(after.values[name], p64)
            yield Record(LEVEL, case.name, f"new {name}", backend, measured, bound, note)
        for slot, named in after64.slots.items():
            for name, s64 in named.items():
                measured = bounds.eta(after.slots[slot][name], s64)
                yield Record(LEVEL, case.name, f"{slot} {name}", backend, measured, bounds.slot(s64), note)
        counted = abs(float(after.control[3] - after64.control[3]))
        yield Record(LEVEL, case.name, "updates done", backend, counted, 0.0, note)
