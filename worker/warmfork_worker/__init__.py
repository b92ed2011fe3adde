"""The template and the workers that are forked from it.

The template preloads, rehearses and forks; it has one thread, never sees a job, a key or a client, and opens no
network socket. A worker enters its guard, waits idle, reads one job, runs it, reports once and exits; it never runs a
byte of user code before the guard stands, and never a second job. Neither ever imports ``warmfork_daemon`` or ZeroMQ.
"""
