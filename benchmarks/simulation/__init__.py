"""Trace-driven simulation: accuracy against known truth, and speed against compiled code."""
