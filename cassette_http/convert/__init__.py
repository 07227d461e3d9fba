"""Cassettes of other recorders, read as if they were ours (pure): octets of a file in, interactions out.

`formats` knows the recorders, one module reads the files of each, and `rebuilding` makes of what they kept the octets
that a peer could have sent. Nothing here opens, writes or runs anything.
"""
