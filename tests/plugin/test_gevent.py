"""Projects that run their tests under gevent, in processes of their own."""

from __future__ import annotations

import pytest

from tests.plugin.project import Project


def test_project_that_patches_everything_is_recorded_and_played(project: Project) -> None:
    pytest.importorskip("gevent", reason="gevent is not made for this system")
    (project.path / "conftest.py").write_text("import gevent.monkey; gevent.monkey.patch_all()\n")
    project.write(
        """
import gevent.pool

@pytest.mark.parametrize("name", ["a", "b"])
def test_at_once(http_cassette, name):
    paths = [f"/{name}{number}" for number in range(4)]
    assert gevent.pool.Pool(4).map(get, paths) == [f"answer to {path}" for path in paths]
"""
    )
    project.run_alone("--cassette-mode=once").assert_outcomes(passed=2)
    project.server.stop()
    project.run_alone().assert_outcomes(passed=2)
    assert len(project.cassettes()) == 2
