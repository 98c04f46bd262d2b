"""A Redis that stalls under its own persistence, recorded with and without the fault."""
