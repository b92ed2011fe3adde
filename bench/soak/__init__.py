"""The soak: ``python -m bench.soak [--minutes 30] [--check]``. A real daemon under a paced, hostile mix for a long time.

Every answer is checked: its verdict, its own mark, once. All the while the daemon's memory, descriptors, processes, slots
and the latency of a trivial job are looked at; what grows and does not stop growing is a leak.

    jobs        what is run, and what the answer must be
    load        the clients that run it, at a steady rate
    probe       the latency, from a process of its own
    samples     the looks at the daemon
    analysis    which series are flat: no I/O, tested with made-up series
    plot        the picture
    leak        leaks on purpose, to see that the check sees them
"""
