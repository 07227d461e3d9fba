"""`--cassette-update`: records again, and keeps the old cassette unless the test passes."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cassette_http.cassette.modes import RecordMode, is_build_server
from cassette_http.errors import CassetteNotWritable
from cassette_http.plugin.options import BY_NAME
from cassette_http.plugin.paths import shown_path
from cassette_http.plugin.settings import settings

if TYPE_CHECKING:
    from cassette_http.plugin.summary import Summary
    from cassette_http.plugin.uses import Use

# The arguments of `use_cassette` for each way.
WAYS: dict[str, dict[str, Any]] = {
    "failed": {"mode": RecordMode.NEW_EPISODES.value, "only_on_success": True},
    "missing": {"mode": RecordMode.ONCE.value, "only_on_success": True},
    "all": {"mode": RecordMode.REWRITE.value, "keep_volatile": True},
}

# What happened to a cassette.
NEW, CHANGED, SAME, FAILED = "new", "changed", "as they were", "left alone, as their tests failed"
STUCK = "recorded by tests that failed, as the old ones could not be put back"


@dataclass(eq=False, repr=False)
class _Replaced:
    """A cassette that an update has changed, or created (then `before` is None), while the test is still running."""

    path: Path
    before: bytes | None
    after: bytes | None
    facts: dict[str, Any]

    def put_back(self) -> bool:
        """Restore the file; False if another process has changed it since. Raises CassetteNotWritable."""
        from cassette_http.cassette.store import Store

        return self.after is not None and Store(self.path).revert(self.before, self.after)


_replaced = pytest.StashKey[_Replaced]()
_is_typed = pytest.StashKey[bool]()
TYPED = "cassette_http_update"


def pytest_configure(config: pytest.Config) -> None:
    """Find out whether it was typed. On a build server, the ini file and the environment do not count."""
    line = settings(config).line
    if "update" in line and "mode" in line:
        raise pytest.UsageError("--cassette-update and --cassette-mode both say what is recorded; give one of them")
    config.stash[_is_typed] = _is_on_the_line(config)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker of pytest-xdist, which does not see the command line of its controller."""
    node.workerinput[TYPED] = node.config.stash[_is_typed]


def _is_on_the_line(config: pytest.Config) -> bool:
    """Tell whether the flag was typed: pytest adds options of the ini file and the environment to what it parses."""
    of_controller: dict[str, Any] | None = getattr(config, "workerinput", None)
    if of_controller is not None:
        return bool(of_controller.get(TYPED))
    flag = BY_NAME["update"].flag
    return any(str(argument).startswith(flag) for argument in config.invocation_params.args)


def pytest_cassette_opening(use: Use) -> None:
    way = use.options.get("update")
    if way is None or (is_build_server(os.environ) and not use.config.stash[_is_typed]):
        return
    # This run is not about interactions that are no longer played.
    use.options |= {**WAYS[way], "on_unplayed": "ignore"}
    if way == "all" and not use.is_own:  # recorded in parts, by several tests
        use.options["keep_unrecorded"] = True
    use.facts["before"] = _content(use.path)


def pytest_cassette_closed(use: Use) -> None:
    if "before" not in use.facts:
        return
    before, after = use.facts.pop("before"), _content(use.path)
    if use.item is not None and before != after:
        use.item.stash[_replaced] = _Replaced(use.path, before, after, use.facts)
    if not use.facts["is_well"]:
        became = FAILED
    elif before == after:
        became = SAME
    else:
        became = NEW if before is None else CHANGED
    if after is not None or before is not None:
        use.facts["update"] = became


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> None:
    """Restore the old cassette if another fixture of the test has failed in its tear-down, which is only known now."""
    replaced = item.stash.get(_replaced, None)
    if replaced is None or call.when != "teardown":
        return
    del item.stash[_replaced]
    if call.excinfo is None:
        return
    try:
        if replaced.put_back():
            replaced.facts["update"] = FAILED
    except CassetteNotWritable as error:
        replaced.facts["update"] = STUCK
        call.excinfo.value.add_note(str(error))


def pytest_cassette_summary(summary: Summary) -> None:
    became: dict[str, str] = {}
    order = [SAME, FAILED, CHANGED, NEW, STUCK]
    for facts in summary.ledger.facts:
        if "update" in facts:  # several tests may share a cassette: the result that is last in `order` counts
            became[facts["path"]] = max(became.get(facts["path"], SAME), facts["update"], key=order.index)
    if not became:
        return
    counts = Counter(became.values())
    summary.add("updated", [", ".join(f"{counts[one]} {one}" for one in reversed(order) if counts[one])])
    for one in (NEW, CHANGED):
        summary.add(one, [shown_path(summary.config, path) for path in sorted(became) if became[path] == one], 2)


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None
