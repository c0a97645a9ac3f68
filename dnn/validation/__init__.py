"""What may come in, and what is refused in a sentence: settings, arrays, sample weights, and the door.

Arrays may be NumPy's, the backend's, of any library with DLPack (on the model's device or on the
host), lists, or data frames and their columns:

- on the model's device: shared, not copied; a tensor that requires a gradient is detached.
- on the host: copied to the device once, if that has a memory of its own, or if they are lists, not
  in C order, or (torch) read-only. Data frames become one array.
- on another device: refused.
- x as ``numpy.memmap``: on the CPU read from the disk batch by batch, and cast there.
- x sparse, of SciPy: kept as CSR (CSC and others are copied to it); batches are made dense and cast.

An iterable of batches as x, with y None, is a list, a torch DataLoader or the like that gives (x, y)
or (x, y, weight), each as above. It is begun anew for each epoch; an iterator goes on. Its own order
and sizes of batches hold: batch_size and shuffle mean nothing, validation_split and sample_weight are
refused. A batch that does not fit ends the training where it is. A state does not know what the
batches hold; resume leaves out those that were taken.
"""
