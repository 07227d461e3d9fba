"""Secrets are found in messages, and replaced by placeholders (pure).

`redaction` is where callers begin. An interaction goes this way:

1. redaction looks at its octets as a whole, and leaves most of them alone. quick_look tells whether any rule could find
   something in them, and vault whether a secret is in them that is known. familiar_lines are those that were looked at
   before, telling_words those that a name could have.
2. message_parts takes a message apart that is worth more: head, content without framing and codings, frames of a
   WebSocket (websocket_frames), text in other character sets (charsets).
3. The rules run: field_rules for the fields of a head, content_rules for every text; that module says in which order.
   Each way to write a name and its value has a module: pairs, json_members, markup, tables, settings_lines, sentences;
   telling_objects for values whose names say nothing; packed, protobuf and archives for what is no text. looks finds
   what needs no name. Texts within texts are looked at again: base64_text, coded_texts, escaped_parts, streamed_texts.
   Of long lists in JSON only those elements go through the rules that are worth it (json_lists).
4. A value with a telling name goes to hiding, which decides whether it is a secret, and what is written in its place.
   The vault numbers secrets (placeholders).
5. When all rules have run, all secrets that the vault knows are searched in all parts, in each form that they may have
   there (needles). Those of the environment are known from the start (surroundings).
6. message_parts puts the message together again.

Where a new rule goes:

- a name that says that its value is a secret: names, with a part of it in STEMS
- tokens with a look of their own: SHAPES in shapes, and how they begin
- a value that is no secret although its name says so: hiding
- another way to write a name and a value: a module with `find_...`, called in content_rules, and `names_in_...`, asked
  in quick_look
- a text that is written in other characters: coded_texts
- what users may add or turn off: rules
"""
