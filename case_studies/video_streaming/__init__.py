"""Paths of unknown capacity, nine bitrate policies: one told from the rest, one tuned."""
