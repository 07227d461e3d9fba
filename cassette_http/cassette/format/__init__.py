"""How interactions are written as documents of YAML, and read again (pure).

yaml_format    the file: a stream of documents; callers begin here
writing        a document is written
reading        a document is read: canonical, if it is as we write it; yaml_reading, in any other style
               ordinary_answers: what most answers say, without a look at each key
scalars        values, in any of YAML's styles
body_forms     the readable form of a body, and the way back to its octets
               json_layout: JSON fit to width; codings: compressed content, undone so that it can be redone
"""
