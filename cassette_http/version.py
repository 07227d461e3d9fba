"""The version of this package, in a room of its own because cassettes name their writer."""

__version__ = "0.1.0"
