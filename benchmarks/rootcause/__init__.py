"""Root cause of incidents: simulated systems with known faults, and what finds them.

Seeds below 1000 are for choosing defaults and for developing; whatever is reported uses seeds of
1000 and above, which nobody looked at before.
"""
