"""All tables, in the order in which they are shown."""

from __future__ import annotations

from benchmarks import client, imports, plugin, recording, replay
from benchmarks.tables import Table

__all__ = ["TABLES", "chosen"]

TABLES = (*client.TABLES, *replay.TABLES, *recording.TABLES, *imports.TABLES, *plugin.TABLES)


def chosen(names: list[str]) -> list[Table]:
    """The tables of these names; "client" stands for all whose name begins so. Raises KeyError."""
    tables = []
    for name in names:
        found = [table for table in TABLES if table.name == name or table.name.startswith(f"{name}-")]
        if not found:
            raise KeyError(name)
        tables += [table for table in found if table not in tables]
    return tables
