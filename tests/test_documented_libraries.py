"""The documentation names the releases that the compatibility suite tests."""

from __future__ import annotations

import re

from downstream.__main__ import DOCUMENT
from downstream.catalogue import LIBRARIES

ROW = re.compile(
    r"^\| (?P<library>[a-z0-9-]+) \| (?P<oldest>[0-9.]+) on Python 3\.\d+ \| [0-9.]+ on Python", re.MULTILINE
)


def test_each_library_is_listed_with_its_oldest_release() -> None:
    listed = {row["library"]: row["oldest"] for row in ROW.finditer(DOCUMENT.read_text())}
    assert listed == {library.name: library.releases[0].version for library in LIBRARIES}
