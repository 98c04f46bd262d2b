"""Where work runs, and how it tells of itself."""
