"""A flow under its noise's history: what lasts in the world does not pass for an effect."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from causalsys.errors import FitError
from causalsys.fit.lasting.course import Course
from causalsys.fit.lasting.flow import fit_flow
from causalsys.fit.lasting.flow_law import kernels, log_law, start_law
from causalsys.mechanisms import Mechanism, Sample
from causalsys.scm import specs
from causalsys.scm.supports import Categorical, Positive, Support
from tests.mechanisms.samples import fit, sample_of

TRACES, STEPS = 40, 250
RATE, BEND, OVERHEAD = np.array([0.5, 1, 2]), np.array([1.3, 0.8, 1]), np.array([5.0, 2, 0])


def course(traces: int = TRACES, steps: int = STEPS) -> Course:
    return Course(torch.arange(traces).repeat_interleave(steps), torch.arange(steps).repeat(traces))


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def sizes(rng: np.random.Generator) -> NDArray[np.float64]:
    """Job sizes: each trace has its own typical one, from 10 to 300, and strays by a tenth."""
    typical = np.repeat(10 ** rng.uniform(1, 2.5, TRACES), STEPS)
    return np.asarray(typical * np.exp(0.1 * rng.normal(size=len(typical))))


def work(size: NDArray[np.float64], server: NDArray[np.int64]) -> NDArray[np.float64]:
    """No server's is another's times a factor."""
    return np.asarray(RATE[server] * size ** BEND[server] + OVERHEAD[server])


def routed(rng: np.random.Generator) -> NDArray[np.int64]:
    """Three arms, each of which draws from two of three servers."""
    arm = np.repeat(np.arange(TRACES) % 3, STEPS)
    return (arm + rng.integers(0, 2, TRACES * STEPS)) % 3


def error(mechanism: Mechanism, sample: Sample, truth: NDArray[np.float64]) -> float:
    """The median relative error of what every job would have taken on the next server."""
    server = sample.parents["server"]
    carried = mechanism.carry(sample.value, sample.parents, {"server": (server + 1) % 3})
    return float(np.median(np.abs(carried[0].numpy() / truth - 1)))


def test_maps_of_actions_are_found_where_rows_as_independent_miss_them() -> None:
    rng = np.random.default_rng(0)
    size, server = sizes(rng), routed(rng)
    sample = sample_of(work(size, server), {"server": server})
    truth = work(size, (server + 1) % 3)
    independent = fit(specs.Monotone(), Positive(), sample, parents={"server": Categorical(3)})
    found = fit_flow(independent, sample, course=course(), generator=seeded(), steps=200)
    # Quantiles compare servers over some 27 traces each, and the sizes of these differ by half
    # their range; within a trace the servers meet sizes a tenth apart, 80 times each.
    assert error(independent, sample, truth) > 0.05
    assert error(found, sample, truth) < 0.02
    noise = found.pull(sample.value, sample.parents)
    assert abs(float(noise.mean())) < 0.3
    assert 0.7 < float(noise.std()) < 1.3


def test_rows_of_no_weight_are_passed_over() -> None:
    rng = np.random.default_rng(1)
    server = rng.integers(0, 3, 240)
    value = work(np.exp(rng.normal(3, 0.3, 240)), server)
    parents: dict[str, Support] = {"server": Categorical(3)}
    clean = sample_of(value, {"server": server})
    counts = torch.arange(240) % 7 != 3
    wild = clean.value.clone()
    wild[:, ~counts] = 1e6
    started = fit(specs.Monotone(), Positive(), clean, parents=parents)
    weighted = Sample(wild, clean.parents, clean.weight * counts)
    whole = course(6, 40)
    kept = Course(whole.trace[counts], whole.position[counts])
    one = fit_flow(started, weighted, course=whole, generator=seeded())
    other = fit_flow(started, clean.take(counts.nonzero()[:, 0]), course=kept, generator=seeded())
    assert _same(one.state, other.state)


def test_a_seed_gives_the_same_fit_and_members_differ_by_their_weights() -> None:
    rng = np.random.default_rng(2)
    server = rng.integers(0, 3, 240)
    value = work(np.exp(rng.normal(3, 0.3, 240)), server)
    sample = sample_of(value, {"server": server}, members=2)
    started = fit(specs.Monotone(), Positive(), sample, parents={"server": Categorical(3)})
    one, two = (
        fit_flow(started, sample, course=course(6, 40), generator=seeded()) for _ in range(2)
    )
    assert _same(one.state, two.state)
    noise = one.pull(sample.value, sample.parents)
    assert 0.001 < float((noise[0] - noise[1]).std()) < 0.5


def test_it_needs_rows_that_follow_and_a_noise_that_the_value_tells() -> None:
    rng = np.random.default_rng(3)
    sample = sample_of(rng.lognormal(size=50), {})
    started = fit(specs.Monotone(), Positive(), sample)
    with pytest.raises(FitError, match="no row that follows another"):
        fit_flow(started, sample, course=course(50, 1), generator=seeded())
    levels = sample_of(rng.integers(0, 3, 50), {})
    drawn = fit(specs.GumbelMax(), Categorical(3), levels)
    with pytest.raises(FitError, match="does not tell its noise"):
        fit_flow(drawn, levels, course=course(5, 10), generator=seeded())


def test_the_law_is_a_density_of_the_next_step_and_sees_no_later_one() -> None:
    law = {
        name: tensor + 0.3 * torch.randn(tensor.shape, generator=seeded())
        for name, tensor in start_law(members=1, generator=seeded(), width=0.0).items()
    }
    past = torch.randn(1, 1, 9, generator=seeded()).expand(1, 4001, 9).clone()
    grid = torch.linspace(-20, 20, 4001)
    past[0, :, 6] = grid
    live = torch.ones(4001, 9, dtype=torch.bool)
    live[:, 3] = False
    found = log_law(past, live, law, kernel=kernels(9, like=past))
    assert float(torch.trapezoid(found[0, :, 6].exp(), grid)) == pytest.approx(1, abs=1e-3)
    assert float(found[0, :, :6].std(0).max()) < 1e-5
    assert float(found[0, :, 7].std()) > 1e-3


def _same(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)
