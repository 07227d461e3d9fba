"""`python -m cassette_http`: the command `cassette-http`, if its script is not on the path."""

from __future__ import annotations

import sys

from cassette_http.cli import main

if __name__ == "__main__":
    sys.exit(main())
