"""What one session of the suite found: written in its environment, read by the table."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from downstream.catalogue import Library, Release

__all__ = ["FOLDER", "Report"]

FOLDER = Path(__file__).parent.parent / ".nox" / "downstream-reports"


@dataclass
class Report:
    """The figures of one library in one release on one Python."""

    library: str
    version: str
    python: str
    # The scenarios, and the project's own table of behaviours.
    driven: int = 0
    failed: list[str] = field(default_factory=list)
    # The library's own tests: how many ran, failed without a cassette, and ended differently with one.
    own: int = 0
    own_failed_anyway: int = 0
    own_recorded: int = 0  # interactions
    own_differ: list[str] = field(default_factory=list)
    # Those that were called twice, and ended differently when played.
    played: int = 0
    played_differ: list[str] = field(default_factory=list)
    trouble: str = ""  # what kept a part from running

    @staticmethod
    def path(library: Library, release: Release) -> Path:
        return FOLDER / f"{library.name}-{release.version}.json"

    @property
    def is_good(self) -> bool:
        return bool(self.driven) and not (self.failed or self.own_differ or self.played_differ or self.trouble)

    def write(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self), indent=1))

    @classmethod
    def read(cls, path: Path) -> Report | None:
        """The report at `path`, None if the session did not come that far."""
        return cls(**json.loads(path.read_text())) if path.exists() else None
