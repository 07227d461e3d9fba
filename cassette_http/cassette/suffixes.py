"""How the files of cassettes end: ours, and those of other recorders, which are read as well (pure)."""

from __future__ import annotations

OURS = (".yaml", ".yml")
READ = (*OURS, ".json", ".har")
# VCR.py takes a name as it is, so a cassette may have no suffix at all.
IN_FOLDERS = (*READ, "")
