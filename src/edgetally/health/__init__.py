"""How an edge and the aggregator are doing, for people, for monitoring, and by a canary."""
