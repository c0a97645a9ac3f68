"""Check that every backend agrees with a float64 oracle, and that the check rejects wrong programs (mutants).

>>> import numpy as np
>>> from dnn.agreement import Data, check, get_contender
>>> x = np.linspace(0, 1, 200 * 12, dtype=np.float32).reshape(200, 12)
>>> records = check([get_contender("numpy")], Data(x, np.arange(200) % 10, 10), levels=["L1"])
>>> all(record.holds for record in records)
True
"""

from dnn.agreement.bits import bits_level
from dnn.agreement.cases import Case, Data
from dnn.agreement.contenders.by_name import available_contenders, contender_ids, get_contender
from dnn.agreement.contenders.contender import Contender
from dnn.agreement.contenders.oracle import make_oracle
from dnn.agreement.gradcheck.comparison import Verdict, compare_gradients, gradcheck
from dnn.agreement.level5_accuracy import accuracy_level
from dnn.agreement.levels import LEVELS, check
from dnn.agreement.mutants import MUTANTS, get_mutant
from dnn.agreement.outputs import compare_outputs
from dnn.agreement.records import Record, worst_record
from dnn.agreement.replay import replay_level
from dnn.agreement.setup import FULL, QUICK, Sizes

__all__ = [
    "FULL",
    "LEVELS",
    "MUTANTS",
    "QUICK",
    "Case",
    "Contender",
    "Data",
    "Record",
    "Sizes",
    "Verdict",
    "accuracy_level",
    "available_contenders",
    "bits_level",
    "check",
    "compare_gradients",
    "compare_outputs",
    "contender_ids",
    "get_contender",
    "get_mutant",
    "gradcheck",
    "make_oracle",
    "replay_level",
    "worst_record",
]
