"""Benchmark of the time per update: this package and the libraries that users would choose instead.

Each contender has its own long-lived process. The processes take turns, A B C A B C ..., in slices of a few
dozen updates while the others wait, because a shared machine can be twice as slow a minute later.
"""
