"""Names of the places in an optimizer's control array (4,): the numbers that change with each update.

They are in one array on the device, so that an update reads nothing back and can be recorded. Each name is a
slice: ``control[RATE]`` is a view (1,), which may be read and written on every array library.
"""

RATE = slice(0, 1)  # the learning rate of the next update
BIAS_1 = slice(1, 2)  # Adam's 1 - beta1^t after t updates; of other optimizers unused
BIAS_2 = slice(2, 3)  # Adam's 1 - beta2^t
UPDATES = slice(3, 4)  # updates done
