"""L-BFGS, the quasi-Newton method: for any function of a flat vector, and for networks on full batches.

direction      the two-loop recursion          settings   what can be chosen
line_search    the strong Wolfe conditions     state      where a minimisation stands, also as a file
minimiser      both together                   network    the mean loss of a network
"""

from dnn.lbfgs.minimiser import minimise
from dnn.lbfgs.network import MeanLoss, fit_lbfgs
from dnn.lbfgs.settings import LBFGS
from dnn.lbfgs.state import Reason, State, load_state, save_state

__all__ = ["LBFGS", "MeanLoss", "Reason", "State", "fit_lbfgs", "load_state", "minimise", "save_state"]
