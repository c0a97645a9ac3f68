"""No training step reads a number back to the host, for any optimizer, schedule and loss."""

import numpy as np
import pytest
from helpers import no_reads_back, same_bits, small_data, small_model, weights

from dnn import Adam, AdamW, CategoricalCrossentropy, OneCycle
from dnn.agreement.cases import loss_variants, optimizer_variants
from dnn.inputs.examples import Examples
from dnn.optimizers.schedules import SCHEDULES
from dnn.training.loop import Batches

STEPS = {name: {"optimizer": optimizer} for name, optimizer in optimizer_variants()}
STEPS |= {
    f"{name} {clip}": {"optimizer": Adam(schedule(**schedule.examples[0]), **{clip: 1e-3})}
    for name, schedule in SCHEDULES.items()
    for clip in ("clip_norm", "clip_value")
}
STEPS |= {name: {"loss": loss} for name, loss in loss_variants()}
STEPS |= {
    "penalty": {"l1": 0.1, "l2": 0.1},
    "weights": {"weights": True},
    "ignore_index": {"loss": CategoricalCrossentropy(ignore_index=1), "weights": True},
    "everything": {
        "loss": CategoricalCrossentropy(0.1), "optimizer": AdamW(OneCycle(0.1, 9), clip_norm=0.1),
        "l1": 0.1, "l2": 0.1, "weights": True,
    },
}  # fmt: skip


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("kind", ["integer", "dense"])
def test_a_step_reads_nothing_back(monkeypatch, make_backend, kind, name):
    """On a GPU each read of a number waits for the device, and no step with one can be captured."""
    backend = make_backend("strict:device1", fused=False)
    model = small_model(backend, output="linear", compiled=False)
    options = dict(STEPS[name])
    weights_of_examples = backend.from_host(np.ones(20, dtype="f4")) if options.pop("weights", None) else None
    model.compile(**options)
    x, y = small_data(20)
    y = y if kind == "integer" else np.eye(3, dtype=np.float32)[y]
    examples = Examples(backend.from_host(x), backend.from_host(y), weights_of_examples)
    plan = Batches(model, examples, 10)
    (step, _) = plan._runs[0]
    before = weights(model)

    with no_reads_back(monkeypatch, backend):
        with pytest.raises(AssertionError, match="read back"):
            float(step.totals.loss[0])
        step()
        step()
    assert not same_bits(weights(model), before)
    assert plan.totals.read(20)[0] > 0
    assert int(step.position[0]) == 2
