"""Data of the agreement check for several test files."""

import pytest
from sklearn.datasets import load_digits

from dnn.agreement import Data


@pytest.fixture(scope="session")
def data():
    x, y = load_digits(return_X_y=True)
    return Data(x / 16, y, 10)
