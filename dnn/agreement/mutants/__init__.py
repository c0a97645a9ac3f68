"""Mutants by name: NumPy backends with one deliberate mistake each."""

from collections.abc import Mapping

from dnn.agreement.mutants.layers import LAYER_MUTANTS
from dnn.agreement.mutants.mutant import Mutant
from dnn.agreement.mutants.mutant import MutantContender as MutantContender
from dnn.agreement.mutants.plans import PLAN_MUTANTS
from dnn.agreement.mutants.shared import SHARED_MUTANTS
from dnn.agreement.mutants.training import TRAINING_MUTANTS
from dnn.settings.checks import look_up

ALL = (*LAYER_MUTANTS, *TRAINING_MUTANTS, *SHARED_MUTANTS, *PLAN_MUTANTS)
MUTANTS: Mapping[str, Mutant] = {mutant.name: mutant for mutant in ALL}


def get_mutant(name: str) -> MutantContender:
    """Return the contender "numpy!NAME". Raises InputError: an unknown name."""
    return MutantContender(look_up("mutant", name, MUTANTS))
