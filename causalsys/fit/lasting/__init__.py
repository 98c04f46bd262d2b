"""The fit of a noise that lasts from step to step of a trace: what its own past says first."""
