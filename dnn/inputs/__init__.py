"""Checks and conversion of inputs: examples, targets, sample weights and iterables of batches.

Supported arrays are those of NumPy, of the backend, and of any library with DLPack (on the model's device or
on the host), lists, and data frames and their columns:

- on the model's device: shared, not copied; a tensor that requires a gradient is detached.
- on the host: copied once to a device with its own memory. Lists, arrays that are not in C order, and
  (torch) read-only arrays are copied too. A data frame becomes one array.
- on another device: an error.
- x as ``numpy.memmap``: read from the disk and cast batch by batch.
- x as a sparse SciPy matrix: kept as CSR (other formats are converted); each batch is made dense and cast.

x may also be an iterable of batches, with y None: a list, a torch DataLoader or similar that yields (x, y) or
(x, y, weight), each as above. Each epoch iterates over it again; an iterator continues instead. The iterable
determines order and size of the batches: batch_size and shuffle have no effect, and validation_split and
sample_weight are errors. An invalid batch ends the training at once. A training state does not contain the
contents of batches; resume skips the used ones.
"""
