"""Trust, measured: how often verdicts, intervals and bounds are right."""
