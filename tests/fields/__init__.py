"""Every field that a server documents: written by the real server, read by edgetally, and put into a table."""
