"""Checks that need a CUDA device, in independent parts, each with a time limit."""
