"""Cassettes of other recorders, read as if they were ours (pure): octets of a file in, interactions out.

formats      detects which recorder wrote a file; vcr, cassetter, har, responses: their formats
trees        reads their YAML and JSON without running anything
exchanges    what they keep of an exchange, as values
rebuilding   rebuilds the octets that a peer could have sent
documents    the result, as documents of our format
exporting    the other way: our cassettes for the tools of others

Nothing here opens, writes or runs anything.
"""
