"""The tally: one pass over access logs, into five-minute slots by channel.

`inputs` reads blocks of lines, an engine finds what is in them, `running_tally` adds that up, and `result` is what it
comes to; `count` puts these together.
"""
