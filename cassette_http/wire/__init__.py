"""Bytes to HTTP/1.1 messages and back. No I/O; imports only the standard library."""
