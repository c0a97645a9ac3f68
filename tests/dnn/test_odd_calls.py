"""Calls of public functions and classes with one to three odd arguments.

A call succeeds and keeps the given values, or one of our checks rejects it with one sentence and nothing
changes. No exception comes from inside a library, and no call hangs. ``examples_of_calls`` is the table of
calls, ``odd_objects`` the list of values. 12 calls for each entry, times DNN_HOSTILE, from a fixed seed.
"""

import datetime
import decimal
import inspect
import json
import random
import sys
import traceback
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import NUMPY
from hostile import EXAMPLE_FACTOR, TRIP_VALUES, attempt
from odd_calls import REFUSALS, X, Y, examples_of_calls, model

import dnn
from backends import get_backend
from dnn.layers import LAYERS
from dnn.losses import LOSSES
from dnn.optimizers import OPTIMIZERS
from dnn.optimizers.schedules import SCHEDULES

CALLS_FOR_EACH = 12
CALLERS_FUNCTIONS = ("print_fn", "watch", "function", "open_backend")
CLASSES = [
    *LAYERS.values(), *OPTIMIZERS.values(), *SCHEDULES.values(), *LOSSES.values(), dnn.LBFGS,
    dnn.EarlyStopping,
]  # fmt: skip
WINDOWS = ("kernel_size", "pool_size", "strides", "padding", "dilation")  # one number stands for a pair


class CallersError(RuntimeError):
    """Raised by an object that the caller passed."""


class Broken:
    """All methods of this object raise CallersError."""

    def __getattr__(self, name):
        raise CallersError

    def __len__(self):
        raise CallersError

    def __iter__(self):
        raise CallersError

    def __array__(self, *_, **__):
        raise CallersError


class LongRepr:
    """The repr of this object has a hundred lines."""

    def __repr__(self):
        return "line\n" * 100


def recursive_list():
    """Return a list that contains itself."""
    inner = []
    inner.append(inner)
    return inner


def odd_objects():
    """Return new odd objects. Each function gets its own, because calls exhaust or change some of them."""
    return [
        *TRIP_VALUES, False, 1, 3, 1.5, -0.0, 1e308, -(10**400), 2**63, 2**70,
        3 + 4j, Fraction(1, 3), decimal.Decimal("0.5"), datetime.date(2020, 1, 1), "", "a\nb", "a\0b",
        "\ud800", "n" * 300, ".", "numpy", b"x", bytearray(b"x"),
        (), set(), [1, 2], ["x"], {"x": 1}, {1: 2.0}, {0: "x"}, [[1, 2], [3]], (X, Y), (X,),
        recursive_list(),
        range(3), iter([1, 2]), (i for i in range(3)), object(), object, print, lambda: None,
        lambda *_, **__: None, Broken(), Broken, LongRepr(), NotImplemented, ..., Path("nowhere"),
        Path("a\0b"), sys,
        np.float64(0.5), np.int8(3), np.bool_(True), np.array(3), np.zeros(0), np.zeros((12, 4)),
        np.zeros((12, 3), "f4"), np.zeros((2, 2, 2)), np.full((12, 4), np.nan), np.array([None, 1]),
        np.array(["a", "b"]), np.zeros(12, "i8"), np.full(12, 2**62), np.zeros(12, "c8"), np.zeros(12,
        "M8[s]"),
        np.full(12, -1.0), np.ma.masked_array(X), torch.zeros(12, 4), torch.zeros(12, 3, requires_grad=True),
        torch.zeros(12, dtype=torch.int64), torch.zeros(3, device="meta"), np.float32, torch.float32, np,
        model(),
        model(compiled=False), dnn.Dense(3), dnn.Dense, dnn.Adam(), dnn.Adam, NUMPY,
        get_backend("torch"), dnn.Callback(), dnn.LinearDecay(0.1, 5), dnn.LBFGS(), dnn.History(),
    ]  # fmt: skip


def settings_of(cls):
    """Return valid settings of a class: the defaults, overridden by its first example."""
    parameters = inspect.signature(cls).parameters.values()
    defaults = {p.name: p.default for p in parameters if p.default is not p.empty}
    return {**defaults, **getattr(cls, "examples", ({},))[0]}


def same(kept, asked):
    if isinstance(kept, dict) and isinstance(asked, (list, tuple)):
        kept = kept["layers"]  # a list of layers becomes a Block
    if isinstance(kept, dict) and isinstance(asked, dict):
        # ``kept`` also contains defaults.
        return all(same(kept[name], value) for name, value in asked.items())
    if isinstance(kept, (list, tuple)) and isinstance(asked, (list, tuple)):
        return len(kept) == len(asked) and all(map(same, kept, asked))
    return kept == asked


def create_and_check(cls):
    """Return a function that creates an object and checks its settings, and a copy from its config."""

    def call(**settings):
        thing = cls(**settings)
        config = thing.config() if hasattr(thing, "config") else thing.__dict__
        json.dumps(config, default=str).encode()
        if cls in LAYERS.values():
            assert cls(**config).config() == config
        if cls in SCHEDULES.values():
            with np.errstate(all="ignore"):
                rates = thing.rates()
            assert rates.dtype == np.float64
            assert rates.shape[0] > thing.warmup
        for name, asked in settings.items():
            if name not in WINDOWS and asked not in (None, ""):
                wanted = asked.config() if isinstance(asked, dnn.LinearDecay) else asked
                assert same(config.get(name, wanted), wanted), name

    return call


def examples_of_classes():
    """Return class name -> (function that creates an object and checks it, valid settings)."""
    table = {cls.__name__: (create_and_check(cls), settings_of(cls)) for cls in CLASSES}
    return {name: (call, settings) for name, (call, settings) in table.items() if settings}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("table", [examples_of_calls, examples_of_classes])
def test_odd_calls(table, tmp_path, monkeypatch, capsys):
    """All runs make the same calls. A failure shows the index of each odd argument in ``odd_objects``."""
    monkeypatch.chdir(tmp_path)
    found = []
    for name in sorted(table()):
        chance = random.Random(name)  # so that the calls of one entry do not depend on the others
        call, arguments = table()[name]
        values = odd_objects()
        for _ in range(CALLS_FOR_EACH * EXAMPLE_FACTOR):
            odd = chance.sample(sorted(arguments), min(len(arguments), chance.choice([1, 1, 2, 3])))
            places = {argument: chance.randrange(len(values)) for argument in odd}
            tried = {**arguments, **{argument: values[i] for argument, i in places.items()}}
            try:
                attempt(call, **tried, refusals=REFUSALS)
            except CallersError:
                pass
            except BaseException as error:
                callers = any(callable(tried[name]) for name in CALLERS_FUNCTIONS if name in odd)
                if not callers and not (name == "write_state" and isinstance(error, OSError)):
                    found.append((name, places, traceback.format_exception(error)[-2:]))
    said = "\n".join(map(repr, found))
    assert not found, said.encode("utf-8", "backslashreplace").decode()
