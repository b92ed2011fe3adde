"""The project's own measurements: ``python -m bench.suite [--quick]`` from the checkout.

Every system runs the same code in the same run, in rounds in which each has its turn, beside floors that no system can go
below: the same code warm in one process, a bare echo over the same transport, a bare fork. What is stated is a ratio to these.

The process that measures loads neither numpy nor matplotlib before the measurements are over, and never runs a workload.
"""
