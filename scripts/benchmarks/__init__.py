"""How long an update takes, ours and what users would pick instead, measured so that it can be compared.

Each contender runs in a process of its own, in rotation A B C A B C ..., and only ratios within one
rotation count: on a shared machine the same binary can take twice as long a minute later.

settings    what is trained: network, batch, threads, how many updates
task        the data of a run, and what a contender prepares
contenders  the table of all contenders: ours, pytorch and peers (what users would pick), floors
worker      one contender, measured once, in this process
rotation    all of them in turn, each in a fresh process
ratios      ours against theirs, and the bounds that must hold
profile     what one of our updates is made of
sweep       how time grows with batch, width, depth and threads
report      tables, JSON, picture
"""
