"""Incidents studied end to end, each with recorded data and the recorder that made it."""
