"""The command: `python -m fuzz [--seconds N] [--seed N]`. A failure is kept in the corpus, and the exit code is 1."""

from __future__ import annotations

import argparse
import hashlib
import sys
import time
from pathlib import Path

from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from fuzz.target import CORPUS, check, method_of, streams
from tests.client.exchanges import WAYS

__all__ = ["fuzz", "main"]

EXAMPLES_PER_ROUND = 100


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m fuzz", description="Feed the client mutated responses.")
    parser.add_argument("--seconds", type=float, default=60, help="how long to go on (default: 60)")
    parser.add_argument("--seed", type=int, default=None, help="where to begin (default: the time)")
    options = parser.parse_args(arguments)
    start = time.monotonic()
    number = first = time.time_ns() if options.seed is None else options.seed
    while number == first or time.monotonic() - start < options.seconds:
        try:
            fuzz(number)
        except Exception:
            print(f"failed with --seed {number}", file=sys.stderr)
            raise
        number += 1
    print(f"{(number - first) * EXAMPLES_PER_ROUND} responses, nothing found")
    return 0


def fuzz(number: int, examples: int = EXAMPLES_PER_ROUND, corpus: Path = CORPUS) -> None:
    """Check that many mutations of the corpus. The smallest response that fails is added to it."""
    seeds = [(path.read_bytes(), method_of(path)) for path in sorted(corpus.glob("*.http"))]
    failed: list[tuple[bytes, str]] = []

    @seed(number)
    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(streams(seeds), st.sampled_from(list(WAYS)), st.integers(1, 50))
    def one_round(stream: tuple[bytes, str], way: str, step: int) -> None:
        octets, method = stream
        try:
            check(octets, method, way, step if len(octets) < 4096 else 1000 + step)
        except Exception:
            failed[:] = [stream]
            raise

    try:
        one_round()
    except BaseException:
        # The last one that failed is the smallest: hypothesis ends with it.
        for octets, method in failed:
            prefix = "" if method == "GET" else f"{method.lower()}-"
            name = f"{prefix}found-{hashlib.sha256(octets).hexdigest()[:12]}.http"
            (corpus / name).write_bytes(octets)
        raise


if __name__ == "__main__":
    sys.exit(main())
