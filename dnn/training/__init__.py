"""Training: one update, the loop over batches and epochs, the training state, and the base of callbacks."""
