"""How long an update takes, with ours and with what users would pick instead.

Each contender has a process of its own, which stays. They take turns, A B C A B C ..., in slices of a few
dozen updates, while the others wait: on a shared machine a program can take twice as long a minute later.

settings    what is trained: network, batch, threads, how many updates
task        the data of a run, and what a contender prepares
contenders  the table of all contenders: ours, pytorch and peers (what users would pick), floors
worker      one contender, a slice at a time, in this process
rotation    all of them in turn
ratios      what is compared: ratios of lower quartiles, how sure they are, and the goals
race        seconds of training to a test accuracy
report      table and JSON of a rotation
"""
