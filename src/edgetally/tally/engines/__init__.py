"""The engines: each finds in blocks of lines what the tally adds up. The result does not depend on which one does."""
