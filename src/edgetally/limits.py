"""The constants of the contract between edges, ledger and bill, each once; docs/reference/ says why they are so."""

SLOT_SECONDS = 300  # the unit of all accounts: slots begin at multiples of it, in epoch seconds
HOUR = 3600
DAY = 86400

# Of a line.
MAX_LINE = 2 << 20  # bytes; a longer one is rejected
EARLY_LINE_SECONDS = 600  # a line that ends so long before its log's time is counted in the nearest slot, and as skewed
LATE_LINE_SECONDS = 60  # and so is one that ends so long after it
LONGEST_SPREAD = 6 * 3600  # the longest time over which the bytes of one transfer are spread
LATE_TRANSFER_SECONDS = 6 * 3600  # for so long after the rotation, lines that slow transfers add keep their own slots
UNASSIGNED = "unassigned"  # the channel of what no rule matches

# Of a batch.
MAX_BATCH_BYTES = 8 << 20  # with its header; what is larger travels in parts
MAX_CHANNELS = 20_000  # that a batch names at most
MAX_STREAMS = 1_000  # of an edge, those apart that are retired
UNASSIGNED_HOSTS = 20  # hosts of the channel `unassigned` that a batch names at most
HOSTS_A_DAY = 1_000  # of all edges together, that are kept by name; what others had is summed
RECEIPT_MAX_ASK = 1000  # batches that one request for receipts may ask for
RECEIPT_BYTES = 1 << 20  # of such a request, and of its answer; with 1,000 batches they have about 110 KB
AHEAD_SECONDS = 600.0  # how far its end may be ahead of the database's clock
SPREAD_SECONDS = LONGEST_SPREAD + 600.0  # how far its rows may lie outside the time that it covers
OVERLAP_SECONDS = 1.0  # how much of the same time two batches of a stream may both cover

# Of the bill.
SAME_SECONDS = 1.0  # two batches whose covers are no farther apart follow each other, without a gap
LATE_SLOT_SECONDS = 1800  # so long after its end a slot is committed late; so long without a batch a stream is silent
