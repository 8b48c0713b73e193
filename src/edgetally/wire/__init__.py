"""What travels between edges and aggregator, and how: batches, receipts, and the job servers that carry both."""
