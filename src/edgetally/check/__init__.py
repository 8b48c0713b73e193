"""`edgetally check`: what of a log format, a server's configuration, a log or an edge makes a bill wrong.

`command` is the command; `formats`, `logs` and `edge` look at these; `configuration` knows a server's file when it sees
one, and each server's module reads it. `defects` is the list of all that can be found.
"""
