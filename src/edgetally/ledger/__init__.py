"""The one place that writes: batches become rows of the ledger and sums in the counters.

`aggregator` is the process; `incoming` opens what it takes, `writer` and `ledger` guard and give the transactions,
`transaction` decides what becomes of each batch of one.
"""
