"""How long an update takes, with ours and with what users would pick instead.

Each contender runs in a process of its own, in rotation A B C A B C ..., and only ratios within one
rotation count: on a shared machine the same program can take twice as long a minute later.

settings    what is trained: network, batch, threads, how many updates
task        the data of a run, and what a contender prepares
contenders  the table of all contenders: ours, pytorch and peers (what users would pick), floors
worker      one contender, measured once, in this process
rotation    all of them in turn, each in a fresh process
ratios      ours against theirs, and the bounds that must hold
profile     what one of our updates is made of
saving      what it costs a training to save its state
report      table, JSON and picture of a rotation
sweep       how time grows with batch, width, depth, threads and samples, and the same three of it
"""
