"""How fast the package is, side by side with others: `python -m benchmarks` (docs/benchmarks.md)."""
