"""The version of this package, in a room of its own because cassettes name their writer."""

__all__ = ["__version__"]

__version__ = "0.1.0"
