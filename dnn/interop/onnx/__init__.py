"""Export of networks to ONNX files, which onnxruntime and other programs run.

``save_onnx`` and ``to_onnx`` export the computation of ``predict``. This library does not read ONNX files:
use ``save_model`` and ``load_model``. Register the nodes of custom layers and activations in ``LAYER_NODES``
and ``ACTIVATION_NODES``.

>>> import numpy as np
>>> from dnn import Dense, Sequential
>>> model = Sequential([Dense(3, "relu"), Dense(2, "softmax")], input_shape=(4,), backend="numpy")
>>> [node.op_type for node in to_onnx(model).graph.node]
['Gemm', 'Relu', 'Gemm', 'Softmax', 'Identity']
"""

import sys

from dnn.interop.onnx.activations import ACTIVATION_NODES
from dnn.interop.onnx.graph import Value, Writer
from dnn.interop.onnx.layers import LAYER_NODES
from dnn.interop.onnx.write import save_onnx, to_onnx
from dnn.keras_names import explain_names

__all__ = ["ACTIVATION_NODES", "LAYER_NODES", "Value", "Writer", "save_onnx", "to_onnx"]

explain_names(sys.modules[__name__])
