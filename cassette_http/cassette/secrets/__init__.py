"""Finds secrets in messages, and replaces them by placeholders (pure).

`redaction` is the module that callers use. The steps for an interaction:

1. redaction looks at its octets as a whole, and leaves most of them alone. quick_look tells whether any rule could find
   something in them, and vault whether they contain a known secret. familiar_lines caches lines that were checked
   before, telling_words the words that may be part of a telling name.
2. message_parts splits a message that needs more: head, content without framing and codings, frames of a
   WebSocket (websocket_frames), text in other character sets (charsets).
3. The rules run: field_rules for the fields of a head, content_rules for every text; that module says in which order.
   Each way to write a name and its value has a module: pairs, json_members, markup, tables, settings_lines, sentences;
   telling_objects for values whose own names say nothing; packed, protobuf and archives for binary contents. looks
   finds what needs no name. Texts inside texts are searched again: base64_text, coded_texts, escaped_parts,
   streamed_texts. Of long lists in JSON, only those elements go through the rules that need it (json_lists).
4. A value with a telling name goes to hiding, which decides whether it is a secret, and what to write instead.
   The vault numbers secrets (placeholders).
5. When all rules have run, all secrets in the vault are searched in all parts, in each form that they may have
   there (needles). Those of the environment are known from the start (environment).
6. message_parts joins the message again.

Where a new rule goes:

- a name whose value is a secret: names, with a part of it in STEMS
- tokens of a known form: SHAPES in shapes, and how they begin
- a value that is no secret although its name says so: hiding
- another way to write a name and a value: a module with `find_...`, called in content_rules, and `names_in_...`, used
  in quick_look
- a text that is written in other characters: coded_texts
- what users may add or turn off: rules
"""
