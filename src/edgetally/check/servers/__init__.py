"""What of each server's configuration makes a bill wrong."""
