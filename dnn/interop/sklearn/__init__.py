"""The network as two scikit-learn estimators, for pipelines, grid searches and cross-validation.

``DNNClassifier`` and ``DNNRegressor`` take the arguments of ``MLPClassifier`` and ``MLPRegressor``, with the
same meaning. With ``sklearn.set_config(array_api_dispatch=True)`` arrays of PyTorch, CuPy and
array-api-strict stay in their library and on their device.
"""

import sys

try:
    import sklearn  # noqa: F401
except ImportError:
    from backends.errors import install_command

    raise ImportError(
        f"dnn.interop.sklearn needs scikit-learn, which is not installed; {install_command('sklearn')}"
    ) from None

from dnn.interop.sklearn.estimators import DNNClassifier, DNNRegressor
from dnn.keras_names import explain_names

__all__ = ["DNNClassifier", "DNNRegressor"]

explain_names(sys.modules[__name__])
