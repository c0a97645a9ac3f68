"""Settings and state; the updates themselves are tested with the kernels, against torch.optim."""

import numpy as np
import pytest
from helpers import fit_small, input_error, small_model

from backends import get_backend
from dnn import SGD, Adam, AdamW, RMSprop
from dnn.checkpoints import load_model
from dnn.optimizers import OPTIMIZERS, Optimizer, optimizer_from

INF = float("inf")
RANGES = {
    "learning_rate": (-1e-3, INF, "0.1", None),
    **dict.fromkeys(("momentum", "beta1", "beta2", "decay"), (-0.1, 1.0)),
    **dict.fromkeys(("epsilon", "weight_decay", "clip_norm", "clip_value"), (-0.1, INF)),
}


@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
@pytest.mark.parametrize("setting", RANGES)
def test_settings_out_of_range(optimizer, setting):
    if not hasattr(optimizer(), setting):
        with pytest.raises(TypeError):
            optimizer(**{setting: 0.5})
        return
    for value in RANGES[setting]:
        with input_error(f"{setting} is .*expected a finite number of at least"):
            optimizer(**{setting: value})
    if setting in ("epsilon", "clip_norm", "clip_value"):
        with input_error(f"{setting} is 0.0, expected a finite number above 0"):
            optimizer(**{setting: 0.0})
    else:
        assert getattr(optimizer(**{setting: 0.0}), setting) == 0.0


def test_nesterov_needs_momentum():
    with input_error("nesterov is True with momentum 0"):
        SGD(nesterov=True)


def test_an_optimizer_without_bind_says_so():
    class Unfinished(Optimizer):
        name = "unfinished"

    with pytest.raises(NotImplementedError, match="optimizer 'unfinished' has no bind"):
        Unfinished(0.1).bind(get_backend("numpy"))


@pytest.mark.parametrize(
    ("optimizer", "name"), [(Adam, "amsgrad"), (AdamW, "amsgrad"), (RMSprop, "centered")]
)
def test_a_variant_is_saved_with_its_vector(optimizer, name, tmp_path):
    usual, other = optimizer(), optimizer(**{name: True})
    assert usual.config()[name] is False
    assert optimizer_from(other.config()) == other
    backend = get_backend("numpy")
    assert usual.bind(backend) == other.bind(backend)
    assert (usual.slot_names, len(other.slot_names)) == (usual.slots, 3)
    model = small_model()
    model.compile(optimizer=other)
    fit_small(model)
    assert np.any(model.optimizer_state.vectors[other.slot_names[-1]] != 0)
    model.save(tmp_path / "m.safetensors")
    assert load_model(tmp_path / "m.safetensors", model.backend).optimizer == other
    with input_error(f"{name} is 1, expected True or False"):
        optimizer(**{name: 1})
