"""From counters to a bill: what was counted, what is missing, and what the contracts make of it."""
