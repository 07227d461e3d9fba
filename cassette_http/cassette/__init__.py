"""What is recorded, and the file in which it is stored.

model           requests, tracks and interactions, as values
messages        what requests and responses have in common
decoding        content without its codings
splicing        replaces spans of octets within pieces

store           the file of a cassette: appended to, rewritten, committed
                log_file: appends under a lock; blobs: large bodies beside it; limits: its size and kind; files: the
                operations of the file system; suffixes: its name
format          how interactions are written in the file, a room of its own

modes           whether a request may be played or recorded
matching        when two requests are the same; meaning: however they are spelled; ignoring: except for some parts
index           which interaction answers; buckets: in which order; library: from which file
shortcuts       finds and reads an answer without parsing
explaining      why there is no answer
late_redactor   the redactor of a session, created when it is needed
secrets         how secrets are found and hidden, a room of its own
hooks           the user's functions; rule_notation: how options name parts of messages

settling        merges a new recording with the old one; volatile: differences that mean nothing
"""
