"""Secrets are found in messages, and replaced by placeholders (pure); `redaction` is where callers begin."""
