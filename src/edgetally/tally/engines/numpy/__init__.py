"""The engine over numpy, for big logs."""
