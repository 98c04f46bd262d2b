"""Benchmarks of short-lived virtual machines on hosts whose type nobody logs.

A cloud provider sells one size of machine on several types of host, and does not say which a
machine got. The type acts on everything that is measured: it is a hidden confounder of all eight
benchmarks. What a host has beside its type (its neighbours, its load) is noise of each benchmark.

The columns are those of Freischuetz et al., "TUNA: Tuning Unstable and Noisy Cloud Applications"
(EuroSys 2025), and of `case_studies/vm_noise/twin.py`.

    fitted = VmNoise.fit(rows, seed=0)

The types are inferred, not known: levels of `host` are clusters that these rows show, and their
numbers mean nothing outside one fit.
"""

import causalsys as cs

TYPES = 6

INPUTS = (
    "redis_get_rps",
    "syscall_ops",
    "cache_ops",
    "memory_bandwidth_mib_s",
    "memory_latency_ns",
    "process_create_us",
    "memcpy_gb_s",
)
TARGET = "postgres_ro_tps"


BY_TYPE = cs.Linear(link="log", scale_by="host")
"""A type has a level and a spread of its own in every benchmark."""


class VmNoise(cs.SCM):
    """One row is one machine: eight benchmarks, all ruled by the type of its host."""

    host = cs.Latent(cs.Categorical(TYPES))

    redis_get_rps = cs.Observed(cs.Positive("req/s"), parents=[host], mechanism=BY_TYPE)
    syscall_ops = cs.Observed(cs.Positive("1/s"), parents=[host], mechanism=BY_TYPE)
    cache_ops = cs.Observed(cs.Positive("1/s"), parents=[host], mechanism=BY_TYPE)
    memory_bandwidth_mib_s = cs.Observed(cs.Positive("MiB/s"), parents=[host], mechanism=BY_TYPE)
    memory_latency_ns = cs.Observed(cs.Positive("ns"), parents=[host], mechanism=BY_TYPE)
    process_create_us = cs.Observed(cs.Positive("us"), parents=[host], mechanism=BY_TYPE)
    memcpy_gb_s = cs.Observed(cs.Positive("GB/s"), parents=[host], mechanism=BY_TYPE)

    # What is predicted: the database's throughput, by type and by how fast memory answers.
    postgres_ro_tps = cs.Observed(
        cs.Positive("1/s"),
        parents=[host, memory_latency_ns],
        mechanism=BY_TYPE,
    )
