"""A NumPy with wrong arithmetic is found out before it judges others."""

import re

import array_api_compat.numpy as npx
import numpy as np
import pytest
from command_lines import run_here

from backends.numpy import blas, soundness


def test_this_numpy_is_sound():
    assert list(soundness.find_faults()) == []


def break_function(monkeypatch, library, name, wrong):
    right = getattr(library, name)

    def broken(*arguments, **options):
        return wrong(np.array(right(*arguments, **options)))

    monkeypatch.setattr(library, name, broken)


def add_to_last(amount):
    """Return a function that changes the last number of wide results."""

    def change(result):
        if result.ndim == 2 and result.shape[1] > 400:
            result[-1, -1] += amount
        return result

    return change


@pytest.mark.parametrize(
    ("library", "name", "wrong", "message"),
    [
        (npx, "matmul", add_to_last(161.0), "product of 37 x 784 and 784 x 500 is wrong by 161 .*threads:"),
        (npx, "matmul", add_to_last(np.nan), "product of 37 x 784 and 784 x 500 is wrong by nan"),
        (npx, "sum", lambda s: s + (s.ndim == 0), "sum of 1024 x 33 integers along axis None is wrong"),
        (npx, "sum", lambda s: s + (s.size == 1024), "sum of 1024 x 33 integers along axis 1 is wrong"),
        *((npx, name, lambda y: y * (1 + 2.0**-49), f"{name}\\(") for name in soundness.FUNCTIONS),
    ],
)  # fmt: skip
def test_each_wrong_operation_is_named(monkeypatch, library, name, wrong, message):
    break_function(monkeypatch, library, name, wrong)
    assert re.match(f"NumPy's float64 {message}.*; ", str(next(soundness.find_faults())))


def test_a_product_that_is_wrong_with_one_thread_is_found(monkeypatch):
    break_function(monkeypatch, npx, "matmul", lambda y: y + (blas.numpy_blas().threads.section_threads == 1))
    assert "OPENBLAS_CORETYPE" in str(next(soundness.find_faults()))


@pytest.mark.parametrize("level", ["L0", "L1", "L2", "L3", "L4"])
def test_the_check_ends_before_any_level(monkeypatch, level):
    """An oracle with a broken BLAS compares nothing."""
    break_function(monkeypatch, npx, "matmul", add_to_last(161.0))
    result = run_here("agree", "--backends", "numpy", "--dataset", "digits", "--quick", "--levels", level)
    assert (result.returncode, result.stdout) == (2, "")
    assert "product of 37 x 784 and 784 x 500 is wrong by 161 (openblas" in result.stderr
    assert "set OPENBLAS_CORETYPE=" in result.stderr
