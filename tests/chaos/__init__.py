"""The campaign: real edges, job server, aggregators and database under random faults; an oracle knows every line."""
