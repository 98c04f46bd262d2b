"""Throughput of virtual machines, mispredicted since one hidden type of host changed."""
