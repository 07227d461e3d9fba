"""Results as text for people, and as JSON for programs."""

from __future__ import annotations

from typing import Any

from benchmarks.running import Result
from benchmarks.tables import Table

__all__ = ["as_json", "as_text"]


def as_text(table: Table, results: list[Result]) -> str:
    """A heading, then a line for each contestant. The last column is the reference's figure over its own:
    how many times as fast it is."""
    unit = table.unit
    over_heading = f"over {table.baseline}" if table.baseline else ""
    columns = ["", f"min {unit}", f"median {unit}", over_heading, "ratio" if unit == "MB" else "speed"]
    rows = [columns]
    for result in results:
        if not result.figures:
            rows.append([result.contestant, result.note])
            continue
        over = _over_baseline(table, result, results)
        rows.append(
            [
                result.contestant,
                _figure(result.minimum),
                _figure(result.median),
                "" if over is None or not table.baseline else _figure(over),
                _speed(table, result, results),
            ]
        )
    width = max(len(row[0]) for row in rows)
    lines = [f"{table.name}: {table.title}"]
    if table.goal:
        lines.append(f"  goal: {table.goal}")
    for name, *cells in rows:
        if len(cells) == 1:
            lines.append(f"  {name:{width}}  {cells[0]}")
        else:
            widths = [max(10, len(heading) + 2) if heading else 0 for heading in columns[1:]]
            shown = "".join(f"{cell:>{room}}" for cell, room in zip(cells, widths, strict=True))
            mark = "  reference" if name == table.reference else ""
            lines.append(f"  {name:{width}}{shown}{mark}".rstrip())
    return "\n".join(lines)


def as_json(table: Table, results: list[Result]) -> dict[str, Any]:
    return {
        "table": table.name,
        "title": table.title,
        "unit": table.unit,
        "goal": table.goal,
        "reference": table.reference,
        "baseline": table.baseline,
        "results": [vars(result) for result in results],
    }


def _over_baseline(table: Table, result: Result, results: list[Result]) -> float | None:
    """What the contestant needs at least; over the baseline if there is one, and None if that is the contestant."""
    if table.baseline is None:
        return result.minimum
    baseline = next(one for one in results if one.contestant == table.baseline)
    if result is baseline or not baseline.figures:
        return None
    return result.minimum - baseline.minimum


def _speed(table: Table, result: Result, results: list[Result]) -> str:
    reference = next(one for one in results if one.contestant == table.reference)
    own = _over_baseline(table, result, results)
    others = _over_baseline(table, reference, results) if reference.figures else None
    if own is None or others is None or own <= 0 or others <= 0:
        return ""
    return f"{others / own:.2f}" if others > own / 10 else f"{others / own:.3g}"


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
