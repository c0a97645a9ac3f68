"""The recipes of train.py: a schedule by its name over all updates of a training."""

import pytest

from _presets import over_training
from backends import InputError
from dnn.optimizers.schedules import SCHEDULES


def test_over_training():
    rates = over_training("linear", 1.0, updates=5, warmup=1).rates()
    assert rates.tolist() == [0.5, 1.0, 0.75, 0.5, 0.25, 0.0]


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("warmup", [0, 7])
def test_over_training_reaches_its_end_with_the_last_update(name, warmup):
    table = over_training(name, 0.5, 100, warmup).rates()
    assert table.max() == pytest.approx(0.5, rel=0.01)  # a cycle's top may lie between two updates
    last = table[min(99, len(table) - 1)]  # the rate of update 100
    expected = {"constant": 0.5, "step": 0.005, "linear": 0.5 / (100 - warmup)}.get(name, 0.0)
    assert last == pytest.approx(expected, abs=2e-4)


def test_a_warmup_as_long_as_the_training_is_refused():
    with pytest.raises(InputError, match="warmup is 10, expected fewer than the 10 updates"):
        over_training("linear", 0.5, 10, 10)
