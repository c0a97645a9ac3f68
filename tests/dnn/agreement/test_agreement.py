"""The agreement check: correct backends pass at every level, and wrong ones fail."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from agreement_inputs import DATA, setup, wrapped
from helpers import input_error, others_slow

from backends import BackendUnavailable, get_backend
from backends.reference import ACTIVATIONS
from dnn.agreement import (
    LEVELS,
    QUICK,
    Data,
    accuracy_level,
    available_contenders,
    bounds,
    check,
    contender_ids,
    get_contender,
    get_mutant,
)
from dnn.agreement.cases import loss_variants
from dnn.agreement.contenders.contender import ArrayMismatch, receive
from dnn.layers import LAYERS
from dnn.losses import LOSSES
from dnn.optimizers import OPTIMIZERS

WRAPPED = wrapped()


@pytest.fixture(params=[*contender_ids(), WRAPPED.name])
def contender(request):
    if request.param == WRAPPED.name:
        return WRAPPED
    try:
        return get_contender(request.param)
    except BackendUnavailable as error:
        pytest.skip(str(error))


def broken_records(records):
    return [f"{r.level} {r.case} {r.tensor} {r.ratio:.3g}" for r in records if not r.holds]


# --------------------------------------------------------------------------- right ones, wrong ones


@pytest.fixture(scope="module", params=others_slow(LEVELS, ["L0", "L1", "L2", "L3"]))
def level(request, data):
    """A level and the records of all contenders, checked together because the oracle takes most of the
    time.
    """
    contenders = [*available_contenders()[0], WRAPPED]
    return request.param, check(contenders, data, levels=[request.param], sizes=QUICK)


def test_every_backend_is_within_its_bounds(contender, level):
    _, found = level
    records = [record for record in found if record.backend == contender.name]
    assert records
    assert broken_records(records) == []


# Layers before trained ones have no dx; test_augmentation.py and test_embedding.py compare them.
COVERED = {
    "L0": {*ACTIVATIONS},
    "L1": {*ACTIVATIONS, *(name for name, kind in LAYERS.items() if not kind.must_precede_trained)},
    "L2": {*ACTIVATIONS, *LOSSES},
    "L3": {*OPTIMIZERS},
    "L4": {*ACTIVATIONS, *OPTIMIZERS, *(name for name, _ in loss_variants())},
}


def test_levels_cover_every_registered_part(level):
    name, records = level
    cases = " ".join({f"{r.case} {r.tensor}" for r in records})
    assert {part for part in COVERED[name] if part not in cases} == set()


@pytest.mark.slow
def test_tf32_has_wider_bounds(data, monkeypatch):
    levels = ["L1", "L2", "L3"]
    rounded, wrong = get_mutant("tf32"), get_mutant("dropped-mean")
    monkeypatch.setattr(type(rounded), "unit", bounds.UNIT_ROUNDOFFS["tf32"])
    assert broken_records(check([rounded], data, levels=levels, sizes=QUICK)) == []
    assert broken_records(check([wrong], data, levels=levels, sizes=QUICK))


@pytest.mark.slow
def test_the_largest_seed_is_within_bounds(data):
    contenders = [get_contender("numpy"), get_contender("pytorch")]
    levels = ["L1", "L2", "L3"]
    assert broken_records(check(contenders, data, levels=levels, sizes=QUICK, seed=2**64 - 1)) == []


def test_receive_rejects_wrong_dtype_and_library():
    for array, match in ((np.zeros(3, np.float32), "z has dtype float32"), (torch.zeros(3), "z is a Tensor")):
        with pytest.raises(ArrayMismatch, match=match):
            receive(get_backend("numpy", dtype="float64"), [("z", array)])


def test_a_tensor_of_another_shape_breaks_its_case():
    asked, expected = {"z": np.zeros((3, 1))}, {"z": np.zeros(3)}
    (record,) = setup("L2", WRAPPED).compare("case", lambda contender: asked, 1.0, expected=expected)
    assert (record.tensor, record.holds) == ("ArrayMismatch", False)
    assert record.note == "z has shape (3, 1), expected (3,)"


def test_accuracy_level_records_paired_differences(data):
    train, test = Data(data.x[:400], data.y[:400], 10), Data(data.x[400:600], data.y[400:600], 10)
    names = ["numpy", "torch", "pytorch"]
    contenders = [get_contender(name) for name in names]
    records = list(accuracy_level(contenders, train, test, hidden=(16,), epochs=2, seeds=2))
    assert [r.backend for r in records] == names
    assert records[0].measured == 0.0
    assert all(r.measured < 5.0 for r in records)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: get_contender("nunpy"), "expected one of numpy"),
        (lambda: get_mutant("tf23"), "did you mean 'tf32'"),
        (lambda: check([WRAPPED], DATA, levels=["L9"]), "level is 'L9'"),
        (lambda: check([], DATA), r"contenders is \[\], expected at least one"),
        (lambda: check(["numpy"], DATA), r"contenders\[0\] is 'numpy', expected a Contender"),
        (lambda: check([WRAPPED], (DATA.x, DATA.y)), "data is .*, expected a Data"),
    ],
)
def test_rejects_unknown_names_and_what_compares_nothing(call, message):
    with input_error(message):
        call()
