"""Layers with odd sizes, strides, padding and settings, as (function that creates one, input shape)."""

from dnn import AveragePooling2D, BatchNormalization, Conv1D, Conv2D, Dense, LayerNormalization, MaxPooling2D

EDGES = [
    (lambda: Conv2D(2, (3, 2), "tanh", strides=(2, 3), padding=(1, 0)), (7, 6, 2)),
    (lambda: Conv2D(24, 1), (1, 1, 3)),  # of two outputs both may cancel
    (lambda: Conv2D(2, 5, padding="same"), (3, 3, 1)),
    (lambda: Conv2D(2, 3, "tanh", use_bias=False), (5, 6, 2)),
    (lambda: Conv2D(6, 3, "tanh", groups=3), (5, 6, 3)),
    (lambda: Conv2D(4, (2, 3), dilation=(3, 2), strides=2, padding=1), (7, 8, 2)),
    (lambda: Conv2D(4, 2, dilation=2, groups=4, use_bias=False), (7, 8, 4)),
    (lambda: Conv2D(4, 1, "tanh", strides=(2, 3)), (7, 6, 3)),
    (lambda: Conv2D(6, (1, 3), strides=(3, 2), padding=(0, 1), groups=2), (7, 6, 4)),
    (lambda: Conv2D(3, (2, 3), strides=(1, 2), padding=(1, 0)), (5, 4, 1)),  # one column of windows
    (lambda: Dense(4, "gelu", use_bias=False), (5,)),
    (lambda: Conv1D(3, 4, "tanh", strides=2, padding=1), (9, 2)),
    (lambda: Conv1D(3, 3, padding="same", use_bias=False), (9, 2)),
    (lambda: MaxPooling2D((2, 3), strides=(3, 1), padding=1), (7, 5, 2)),
    (lambda: MaxPooling2D(3, strides=2, ceil_mode=True), (8, 7, 2)),
    (lambda: MaxPooling2D(2, strides=3, padding=1, ceil_mode=True), (6, 7, 2)),
    (lambda: MaxPooling2D(2, ceil_mode=True), (5, 1, 2)),
    (lambda: AveragePooling2D(3, strides=2, padding=1, count_include_pad=True), (6, 5, 2)),
    (
        lambda: AveragePooling2D((3, 2), strides=(2, 3), padding=1, ceil_mode=True, count_include_pad=True),
        (6, 7, 2),
    ),
    (lambda: AveragePooling2D(3, strides=2, padding=1), (6, 5, 2)),
    (lambda: LayerNormalization(epsilon=1e-3), (5,)),
    (lambda: BatchNormalization(epsilon=1e-3), (5,)),
]
