"""SIMULATE: recorded traces under policies that never ran, and how far to trust that."""
