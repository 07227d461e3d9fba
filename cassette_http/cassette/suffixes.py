"""The suffixes of cassette files: ours, and those of other recorders, which can be read too (pure)."""

from __future__ import annotations

OURS = (".yaml", ".yml")
READ = (*OURS, ".json", ".har")
# VCR.py uses a name as it is given, so a cassette may have no suffix.
IN_FOLDERS = (*READ, "")
