"""Mutants by name: NumPy backends with one deliberate mistake each."""

from collections.abc import Mapping

from dnn.agreement.mutants.kernels import KERNEL_MUTANTS
from dnn.agreement.mutants.mutant import Mutant
from dnn.agreement.mutants.mutant import MutantContender as MutantContender
from dnn.agreement.mutants.trainings import TRAINING_MUTANTS
from dnn.settings.checks import look_up

MUTANTS: Mapping[str, Mutant] = {mutant.name: mutant for mutant in KERNEL_MUTANTS + TRAINING_MUTANTS}


def get_mutant(name: str) -> MutantContender:
    """Return the contender "numpy!NAME". Raises InputError: an unknown name."""
    return MutantContender(look_up("mutant", name, MUTANTS))
