"""Bytes to HTTP/1.1 messages and back. No I/O; imports only the standard library.

grammar    the rules as regular expressions, and the bounds that peers are held to
messages   heads as values
head       start lines and fields: read and written
framing    where the content of a message ends
content    from a message body to content, one decoder for each framing
chunking   chunked bodies written, and taken apart
reader     where messages begin and end in a stream
errors     what can be wrong
patterns   regular expressions for every release of Python
"""
