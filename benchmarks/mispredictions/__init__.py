"""Mispredictions: generated incidents with known truth, a real one, and what explains them.

Seeds below 1000 are for choosing defaults and for developing; whatever is reported uses seeds of
1000 and above, which nobody looked at before.
"""
