"""Training: what one update does, what an epoch does, and where a training stands between two updates.

step         one update on one batch, and the sums that an epoch reads
blocks       the same in blocks, for threads and workers
loop         all batches of an epoch, all epochs of a fit, and whom they tell
evaluation   the loss and the accuracy on other examples, and predictions
history      each epoch's numbers
state        a whole training on the host, to go on from there later
callback     what may watch a training
"""
