"""Finds what makes a bill wrong: in a log format, a server's configuration, a log, or an edge.

`format`, `log` and `edge` look at these; `configuration` knows a server's file when it sees one, and a module of
`servers` reads it. `defects` is the list of all that can be found.
"""
