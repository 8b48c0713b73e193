"""Measures: what a tally costs, beside other programs on the same logs. bin/bench runs it."""
