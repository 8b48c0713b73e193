"""The constants of the contract between edges, ledger and bill, each once; docs/reference/ says why they are so."""

SLOT_SECONDS = 300  # the unit of all accounts: slots begin at multiples of it, in epoch seconds
DAY = 86400
# Of a line.
MAX_LINE = 2 << 20  # bytes; a longer one is rejected
EARLY_LINE_SECONDS = 600  # a line that ends so long before its log's time is counted in the nearest slot, and as skewed
LATE_LINE_SECONDS = 60  # and so is one that ends so long after it
LONGEST_SPREAD = 6 * 3600  # over so long a time at most the bytes of one transfer are spread
LATE_TRANSFER_SECONDS = 6 * 3600  # lines that a slow transfer adds after the rotation keep their own slots for so long
UNASSIGNED = "unassigned"  # the channel of what no rule matches

# Of a batch.
MAX_BATCH_BYTES = 8 << 20  # with its header; what is larger travels in parts
UNASSIGNED_HOSTS = 20  # that one names at most
RECEIPT_MAX_ASK = 1000  # batches that one request for receipts asks for at most
AHEAD_SECONDS = 600.0  # that its end may be ahead of the database's clock
SPREAD_SECONDS = LONGEST_SPREAD + 600.0  # that its rows may lie outside its covers
OVERLAP_SECONDS = 1.0  # that two batches of a stream may both cover
# Of the bill.
SAME_SECONDS = 1.0  # two covers that are no farther apart follow each other
LATE_SLOT_SECONDS = 1800  # a slot that is committed so long after its end is late, a stream without one silent
