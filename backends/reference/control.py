"""Indices into an optimizer's control array (4,): the numbers that change with every update.

The array is on the device, so an update never reads from the device and can be recorded as a CUDA graph. Each
index is a slice: ``control[RATE]`` is a view (1,), which every array library can read and write.
"""

RATE = slice(0, 1)  # the learning rate of the next update
BIAS_1 = slice(1, 2)  # Adam's 1 - beta1^t after t updates; other optimizers do not use it
BIAS_2 = slice(2, 3)  # Adam's 1 - beta2^t
UPDATES = slice(3, 4)  # number of updates so far
