"""Benchmark of the time per update: this package and the libraries that users would choose instead.

Each contender has its own long-lived process. The processes take turns, A B C A B C ..., in slices of a few
dozen updates while the others wait, because a shared machine can be twice as slow a minute later.

settings    the network, batch size, threads and number of updates
task        the data of a run, and the interface of a contender
contenders  table of all contenders: ours, pytorch and peers (other libraries)
worker      times one contender, slice by slice, in this process
rotation    runs all contenders in turn
ratios      ratios of lower quartiles with confidence intervals
report      table and JSON of a rotation
"""
