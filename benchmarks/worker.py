"""One contestant, for one round, in a process of its own: `python -m benchmarks.worker`, called by `running`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from benchmarks.catalogue import TABLES
from benchmarks.tables import Contestant, Job, Skipped

__all__: list[str] = []


def main(order: str) -> None:
    """Do what `order` (JSON) says; the last line of the output is the reply (JSON)."""
    told = json.loads(order)
    told["job"] |= {name: Path(told["job"][name]) for name in ("authority", "folder")}
    job = Job(**told["job"])
    table = next(table for table in TABLES if table.name == told["table"])
    reply = {name: run(table.contestant(name), job, told["step"]) for name in told["contestants"]}
    print(json.dumps(reply), flush=True)


def run(contestant: Contestant, job: Job, step: str) -> dict[str, Any]:
    """Say the figure, or why there is none; `step` is "prepare" or "round", or "both"."""
    try:
        if step != "round" and contestant.prepare is not None:
            contestant.prepare(job)
        return {"figure": contestant.run(job)} if step != "prepare" else {}
    except Skipped as reason:
        return {"note": str(reason)}
    except ImportError as error:
        if (error.name or "").startswith(("cassette_http", "benchmarks")):
            raise
        return {"note": f"not installed: {error.name}"}


if __name__ == "__main__":
    main(sys.argv[1])
