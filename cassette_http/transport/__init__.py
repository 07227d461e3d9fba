"""Byte streams: live, recording, replaying."""
