"""The supervisor: sockets, queue, slots, deadlines, memory verdicts, key, signing, collecting files.

It never imports numpy, pandas, matplotlib or ``warmfork_worker``, never runs user code, and never trusts a byte that
comes from a worker. It starts the template by exec (``python -m warmfork_worker``) and talks to it over one socket.
"""
