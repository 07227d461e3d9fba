"""What is recorded, and the file that it is kept in.

model           requests, tracks and interactions, as values
messages        what requests and responses have in common
decoding        content without its codings
splicing        spans of octets replaced within pieces

store           what becomes of the file of a cassette
                log_file: appends under a lock; blobs: large bodies beside it; limits: what it may be; files: each
                operation on it; suffixes: how it may be called
format          how interactions are written in it, a room of its own

modes           whether a request may be played or recorded
matching        when two requests are the same; meaning: whatever way they are spelled; ignoring: but for some parts
index           which interaction answers; buckets: in which order; library: from which file
shortcuts       an answer found and read without parsing
explaining      why there is none
late_redactor   takes secrets out of what is compared or kept; made when that is needed
secrets         how secrets are found and hidden, a room of its own
hooks           functions of the user; rule_notation: how options name parts of messages

settling        a new recording and the old one; volatile: what differs between them, and means nothing
"""
