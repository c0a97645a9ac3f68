"""Every table against torch.optim.lr_scheduler, warm-up too; and an optimizer that follows one."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import fit_small, input_error, small_model

from dnn import SGD, Constant, CosineDecay, LinearDecay, OneCycle, StepDecay
from dnn.optimizers.schedules import SCHEDULES, over_training

lr = torch.optim.lr_scheduler
N = 20
CASES = {
    "constant": (Constant(0.1), lambda o: lr.ConstantLR(o, 1.0, 1)),
    "step": (StepDecay(0.1, N, every=6, factor=0.5), lambda o: lr.StepLR(o, 6, 0.5)),
    "linear": (LinearDecay(0.1, N), lambda o: lr.LinearLR(o, 1.0, 0.0, N)),
    "linear in one step": (LinearDecay(0.1, 1), lambda o: lr.LinearLR(o, 1.0, 0.0, 1)),
    "linear final": (LinearDecay(0.1, N, 0.02), lambda o: lr.LinearLR(o, 1.0, 0.2, N)),
    "cosine": (CosineDecay(0.1, N, 0.01), lambda o: lr.CosineAnnealingLR(o, N, 0.01)),
    "one_cycle": (
        OneCycle(0.1, N + 1),
        lambda o: lr.OneCycleLR(o, 0.1, N + 1, cycle_momentum=False),
    ),
    "one_cycle settings": (
        OneCycle(0.1, N + 1, rise=0.4, div_factor=5, final_div_factor=10),
        lambda o: lr.OneCycleLR(
            o, 0.1, N + 1, pct_start=0.4, div_factor=5, final_div_factor=10, cycle_momentum=False
        ),
    ),
}


def rates_of_torch(make, n, first, warmup=0):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=first)
    scheduler = make(optimizer)
    if warmup:
        rise = lr.LinearLR(optimizer, 1 / (warmup + 1), 1.0, warmup)
        scheduler = lr.SequentialLR(optimizer, [rise, scheduler], milestones=[warmup])
    found = []
    for _ in range(n):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return np.asarray(found)


def test_every_schedule_is_tested():
    assert {schedule.name for schedule, _ in CASES.values()} == set(SCHEDULES)


WITH_WARM_UP = [(case, n) for case in CASES if not case.startswith("one_cycle") for n in (1, 5)]


@pytest.mark.parametrize(("case", "warmup"), [*((case, 0) for case in CASES), *WITH_WARM_UP])
def test_rates_are_those_of_torch(case, warmup):
    schedule, make = CASES[case]
    table = replace(schedule, warmup=warmup).rates()
    assert (table.dtype, len(table)) == (np.float64, warmup + len(schedule.rates()))
    np.testing.assert_allclose(table, rates_of_torch(make, len(table), 0.1, warmup), rtol=1e-12, atol=1e-16)


def test_the_warm_up_of_a_cycle_ends_where_it_begins():
    table = OneCycle(0.1, N, warmup=3).rates()
    np.testing.assert_allclose(table[:4], 0.004 * np.asarray([0.25, 0.5, 0.75, 1.0]), rtol=1e-12)
    np.testing.assert_array_equal(table[3:], OneCycle(0.1, N).rates())


@pytest.mark.parametrize("case", CASES)
def test_the_optimizer_uses_the_rates_of_the_schedule(backend, case):
    schedule, _ = CASES[case]
    model = small_model(backend)
    model.compile(optimizer=SGD(schedule))
    seen, step = [], model.optimizer_state.step

    def record_rates():
        step()
        seen.append(float(backend.to_host(model.optimizer_state.control)[0]))

    model.optimizer_state.step = record_rates
    fit_small(model, epochs=5)
    table = schedule.rates()
    expected = np.concatenate([table, np.full(25, table[-1])])[:25]  # past the end its last rate
    np.testing.assert_array_equal(seen, expected.astype(np.float32))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Constant(-1.0), "rate is -1.0"),
        (lambda: Constant(0.1, warmup=-1), "warmup is -1"),
        (lambda: Constant(0.1, warmup=1.5), "warmup is 1.5"),
        (lambda: StepDecay(0.1, 0, 1), "steps is 0"),
        (lambda: StepDecay(0.1, 5, 0), "every is 0"),
        (lambda: StepDecay(0.1, 5, 1, 0.0), "factor is 0.0, expected a finite number above 0"),
        (lambda: LinearDecay(0.1, 5, -1.0), "final is -1.0"),
        (lambda: LinearDecay(-0.1, 5), "initial is -0.1"),
        (lambda: CosineDecay(0.1, True), "steps is True"),
        (lambda: OneCycle(0.0, 5), "highest is 0.0"),
        (lambda: OneCycle(0.1, 5, rise=1.0), "rise is 1.0"),
        (lambda: OneCycle(0.1, 3), "rise is 0.3 of 3 steps, expected more than one update"),
        (lambda: OneCycle(0.1, 2, rise=0.5), "rise is 0.5 of 2 steps"),
        (
            lambda: LinearDecay(0.1, 10**8, warmup=1).rates(),
            "'linear' lasts 100000001 updates, expected at most 100000000;",
        ),
    ],
)
def test_rejects_invalid_arguments(make, message):
    with input_error(message):
        make()


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("warmup", [0, 7])
def test_over_training_reaches_its_end_with_the_last_update(name, warmup):
    table = over_training(name, 0.5, 100, warmup).rates()
    assert table.max() == pytest.approx(0.5, rel=0.01)  # a cycle's top may lie between two updates
    last = table[min(99, len(table) - 1)]  # the rate of update 100
    expected = {"constant": 0.5, "step": 0.005, "linear": 0.5 / (100 - warmup)}.get(name, 0.0)
    assert last == pytest.approx(expected, abs=2e-4)


def test_rejects_a_warmup_as_long_as_the_training():
    assert over_training("linear", 0.5, 1).rates().tolist() == [0.5, 0.0]
    with input_error("warmup is 10, expected less than the 10 updates"):
        over_training("linear", 0.5, 10, 10)
