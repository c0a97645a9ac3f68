"""Data, contenders and setups of the agreement check, for several test files."""

import numpy as np

from backends import get_backend
from dnn.agreement import Data, make_oracle
from dnn.agreement.contenders.ours import BackendContender
from dnn.agreement.setup import Setup, Sizes

DATA = Data(np.random.default_rng(0).random((140, 16), dtype=np.float32), np.arange(140) % 3, 3)


def setup(level, *contenders, sizes=None, seed=0):
    return Setup(level, contenders, make_oracle(), DATA, sizes or Sizes(), seed)


def wrapped(kernels=(), change=None, name="numpy"):
    """Return a contender on a backend whose kernels are wrapped: these by ``change``, others without any
    change.
    """

    def wrap(kernel, function):
        return change(function) if kernel in kernels else lambda *arguments: function(*arguments)

    return BackendContender("wrapped", lambda dtype: get_backend(name, dtype=dtype).with_wrapper(wrap))
