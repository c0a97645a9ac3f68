"""L2: compare pre-activations, outputs and gradients of networks on batches of real examples."""

from collections.abc import Iterator

from backends import InputError
from backends.reference import ACTIVATIONS
from dnn.agreement import bounds
from dnn.agreement.cases import Case, Data
from dnn.agreement.contenders.oracle import make_disturbed_oracle, measure_condition, safe_rows
from dnn.agreement.records import Record
from dnn.agreement.setup import Setup, Sizes
from dnn.losses import LOSSES, get_loss
from dnn.optimizers import SGD

MAIN_PAIR = ("relu", "categorical_crossentropy")


def network_cases(data: Data, sizes: Sizes, seed: int) -> Iterator[Case]:
    """Yield the lecture's network and smaller ones: every activation with cross-entropy and mean squared
    error, and every loss with relu.
    """
    for activation in ACTIVATIONS:
        for loss in LOSSES:
            if activation == MAIN_PAIR[0] or loss in (MAIN_PAIR[1], "mean_squared_error"):
                hidden = sizes.hidden if (activation, loss) == MAIN_PAIR else sizes.small
                name = f"{'-'.join(map(str, hidden))} {activation} {loss}"
                yield data.case(name, hidden, SGD(), seed, activation, loss)


def network_level(setup: Setup) -> Iterator[Record]:
    """Compare every network on a few batches."""
    for number, case in enumerate(network_cases(setup.data, setup.sizes, setup.seed)):
        with setup.in_threads(several=number % 4 == 3 or case.hidden == setup.sizes.hidden):
            for step in range(setup.sizes.batches):
                yield from compare_batch(setup, case, step)


def compare_batch(setup: Setup, case: Case, step: int) -> list[Record]:
    """Compare z of each layer, the outputs and the gradient of each parameter on one batch.

    Rows on which a unit of the oracle is near a kink are left out. The bound is that of the layer with the
    most inputs, with the network's condition. Gradients are sums over the batch, of terms that may be equal.
    """
    data = setup.data
    rows = data.rows(case.seed, step, setup.sizes.candidates)
    # No number of threads divides both 100 and 97. A loss with a kink keeps 100: its gradient sums equal
    # numbers, and with 97 their partial sums round all the same way.
    batch = setup.sizes.batch - 3 * (step % 2) * (get_loss(case.loss).kink is None)
    rows = rows[safe_rows(case, setup.oracle, data.x[rows], data.y[rows], batch)]
    if not len(rows):
        got = f"in every row of x a unit of the network {case.name} is near its kink"
        raise InputError(got, "at least one row to compare", "use other examples")
    x = data.x[rows]
    y = data.y[rows]
    expected = setup.oracle.compute(case, x, y)
    # An activation reads z, which the disturbed product has moved already.
    disturbed = make_disturbed_oracle(step, exact="activation")
    condition = measure_condition([disturbed.compute(case, x, y)], expected)

    def bound(tensor: str, unit: float) -> float:
        is_gradient = tensor.startswith("d ")
        k = max(*case.inner, len(x) * is_gradient)
        return bounds.layer(k, unit, max(condition[tensor], is_gradient), 2.0)

    return setup.compare(
        case.name, lambda c: c.compute(case, x, y), bound, note=f"batch {step}", expected=expected
    )
