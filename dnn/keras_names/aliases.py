"""Names of other libraries that mean the same here."""

from typing import Any

from dnn.keras_names.rows import parse_rows

ALIASES: dict[Any, str] = {None: "linear"} | parse_rows("""
MaxPool1D: MaxPooling1D
MaxPool2D: MaxPooling2D
AvgPool1D: AveragePooling1D
AvgPool2D: AveragePooling2D
GlobalAvgPool2D: GlobalAveragePooling2D
GlobalMaxPool2D: GlobalMaxPooling2D
Convolution1D: Conv1D
Convolution2D: Conv2D
swish: silu
leakyrelu: leaky_relu
identity: linear
logistic: sigmoid
mse: mean_squared_error
mae: mean_absolute_error
bce: binary_crossentropy
crossentropy: categorical_crossentropy
cross_entropy: categorical_crossentropy
acc: accuracy
Precision: precision
Recall: recall
F1Score: f1
f1_score: f1
""")
"""A name of a layer, activation, loss or metric in Keras or scikit-learn -> its name here."""
