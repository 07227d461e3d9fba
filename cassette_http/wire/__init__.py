"""Bytes to HTTP/1.1 messages and back. No I/O; imports only the standard library.

grammar    the rules as regular expressions, and the limits for messages
messages   heads as values
head       reads and writes start lines and fields
framing    where the content of a message ends
content    from a message body to content, one decoder for each framing
chunking   writes chunked bodies, and takes them apart
reader     where messages begin and end in a stream
errors     what can be wrong with octets
patterns   regular expressions for every release of Python
"""
