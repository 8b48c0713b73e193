"""A cache server's part: rotate its logs, tally them, keep the batches, and deliver them.

`ship` is one run; everything else is one of its steps.
"""
