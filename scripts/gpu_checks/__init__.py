"""What can only be checked on a CUDA device, in parts that each have a time limit and fail alone."""
