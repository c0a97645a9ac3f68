"""Everything that can only be settled on a CUDA device, in parts that are bounded in time and fail alone."""
