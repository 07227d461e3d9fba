"""Cassettes of other recorders, read as if they were ours (pure): octets of a file in, interactions out.

formats      which recorder a file comes from; vcr, cassetter, har, responses: how each of them writes
trees        their YAML and JSON, read without running anything
exchanges    what they keep of an exchange, as values
rebuilding   the octets that a peer could have sent, made of that
documents    the result, as documents of ours
exporting    the other way: cassettes of ours for the tools of others

Nothing here opens, writes or runs anything.
"""
