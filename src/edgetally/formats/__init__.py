"""Log formats: what a server's configuration says a line looks like, compiled to one strict regular expression.

A format is a list of parts, literals and fields, in the words of the server that writes the log: a module of `servers`
cuts a pasted configuration into them, `build` makes a `log_format` of these, with the pattern that lines are read with
(`pattern`, `clocks`). `catalogue` knows the formats by name, `detect` tells which server's a pasted one is.
"""
