"""L-BFGS, a quasi-Newton method, for functions of a flat vector and for networks on full batches."""

from dnn.lbfgs.minimiser import minimise
from dnn.lbfgs.network import MeanLoss, fit_lbfgs
from dnn.lbfgs.state import LBFGS, Reason, State, load_state, save_state

__all__ = ["LBFGS", "MeanLoss", "Reason", "State", "fit_lbfgs", "load_state", "minimise", "save_state"]
