"""How interactions are written as YAML documents, and read again (pure).

yaml_format    the file: a stream of documents; callers use this module
writing        writes a document
reading        reads a document: with canonical if it is written as we write it, else with yaml_reading
               ordinary_answers: a fast path for most answers
scalars        values, in each of YAML's styles
body_forms     the readable form of a body, and how to get its octets back
               json_layout: JSON in several lines; codings: decompresses content so that it can be compressed again
"""
