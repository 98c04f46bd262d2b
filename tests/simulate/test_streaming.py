"""Bitrate policies choose what their papers say, in any batch; plans are the best there are."""

from __future__ import annotations

import inspect
import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.distributions import Categorical

from causalsys.errors import InterventionError
from causalsys.simulate.policies.predictive import MPC
from causalsys.simulate.policies.streaming import (
    BBA,
    BOLA,
    LADDER,
    Mixed,
    RandomBitrate,
    RateBased,
)


def situations(traces: int, *, seed: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Buffers, sizes of five chunks to come, ten past throughputs, and last bitrates."""
    rng = torch.Generator().manual_seed(seed)
    uniform = torch.rand(traces, 5, 6, generator=rng, dtype=torch.float64)
    sizes = 4 * torch.tensor(LADDER, dtype=torch.float64) * (0.8 + 0.4 * uniform)
    buffer = 10 * torch.rand(traces, generator=rng, dtype=torch.float64)
    seen = 0.3 + 4 * torch.rand(traces, 10, generator=rng, dtype=torch.float64)
    return buffer, sizes.cummax(-1).values, seen, torch.randint(0, 6, (traces,), generator=rng)


def test_bba_rises_with_the_buffer_between_its_corners() -> None:
    buffer = torch.linspace(0, 10, 201)
    chosen = BBA(reservoir=3.0, cushion=5.0)(buffer)
    assert (chosen.diff() >= 0).all()
    assert (chosen[buffer <= 3] == 0).all()
    assert (chosen[buffer >= 8] == 5).all()
    # Half way up the line allows 2.3 Mbit/s, and 1.85 is the highest below.
    assert BBA(reservoir=3.0, cushion=5.0)(torch.tensor(5.5)).item() == 3


def test_bola_is_the_greatest_score_of_the_paper() -> None:
    buffer, sizes, _, _ = situations(200)
    policy = BOLA(gamma=1.5, capacity=9.0)
    for level, size, chosen in zip(buffer, sizes[:, 0], policy(buffer, sizes[:, 0]), strict=True):
        utility = np.log(size.numpy() / size[0].item())
        v = 9.0 / (utility[-1] + 1.5)
        scores = (v * (utility + 1.5) - level.item()) / size.numpy()
        assert chosen == scores.argmax()


@pytest.mark.parametrize(
    ("estimate", "expected"), [("harmonic", [1, 3]), ("max", [4, 4]), ("min", [0, 2])]
)
def test_rate_based_takes_what_its_estimate_allows(estimate: str, expected: list[int]) -> None:
    seen = torch.tensor([[0.0, 0.5, 3.0], [1.5, 2.0, 4.0]])
    policy = RateBased(estimate, steps=3)  # type: ignore[arg-type]
    assert policy(seen).tolist() == expected
    assert policy(torch.zeros(2, 3)).tolist() == [0, 0]


def test_random_and_mixed_are_distributions() -> None:
    buffer = torch.tensor([[1.0, 9.9], [6.0, 7.0]])
    assert torch.allclose(RandomBitrate(6)(buffer).probs, torch.full((2, 2, 6), 1 / 6).double())
    mixed = Mixed(BBA(), 0.5)(buffer)
    assert torch.allclose(mixed.probs.sum(-1), torch.ones(2, 2).double())
    assert (mixed.probs.argmax(-1) == BBA()(buffer)).all()
    assert torch.allclose(mixed.probs.amax(-1), torch.tensor(0.5 + 0.5 / 6).double())
    twice = Mixed(Mixed(BBA(), 0.5), 0.5)(buffer)
    assert torch.allclose(twice.probs.amax(-1), torch.tensor(0.25 + 0.75 / 6).double())


def test_mixed_reads_what_its_policy_reads_and_keeps_its_memory() -> None:
    def counting(buffer: Tensor, memory: int | None = None) -> tuple[Tensor, int]:
        return torch.zeros_like(buffer).long(), (memory or 0) + 1

    policy = Mixed(counting, 0.1)
    assert inspect.signature(policy) == inspect.signature(counting)
    assert inspect.signature(Mixed(RateBased())) == inspect.signature(RateBased())
    chosen, memory = policy(torch.zeros(3), memory=4)
    assert isinstance(chosen, Categorical)
    assert memory == 5


def test_parameters_change_what_is_read() -> None:
    read = inspect.signature(RateBased(steps=3)).parameters["throughputs"].default
    assert (read.name, read.steps) == ("throughput", 3)
    read = inspect.signature(replace(MPC(), steps=3, robust=True)).parameters
    assert read["throughputs"].default.steps == 6
    assert (read["sizes"].default.name, read["sizes"].default.steps) == ("size", 5)
    assert read["buffer"].default is inspect.Parameter.empty


def worth(plan: tuple[int, ...], buffer: float, seconds: np.ndarray, last: int) -> float:
    """The QoE of a plan, chunk by chunk: what an optimum is measured by."""
    total = 0.0
    for step, level in enumerate(plan):
        wait = max(seconds[step, level] - buffer, 0)
        total += LADDER[level] - 4.3 * wait - abs(LADDER[level] - LADDER[last])
        buffer, last = min(max(buffer - seconds[step, level], 0) + 4, 10), level
    return total


@pytest.mark.parametrize("chunks", [1, 2, 3])
def test_mpc_takes_the_first_step_of_a_best_plan(chunks: int) -> None:
    buffer, sizes, seen, last = situations(60, seed=chunks)
    sizes, seen = sizes[:, :chunks], seen[:, -5:]
    chosen = MPC(ahead=chunks)(buffer, sizes, seen, last)
    for at in range(len(buffer)):
        seconds = sizes[at].numpy() * (1 / seen[at].numpy()).mean()
        best = {
            first: max(
                worth((first, *rest), buffer[at].item(), seconds, int(last[at]))
                for rest in itertools.product(range(6), repeat=chunks - 1)
            )
            for first in range(6)
        }
        top = max(best.values())
        assert best[int(chosen[at])] == pytest.approx(top, abs=2e-4)
        # Of equals the lowest; those that are nearly equal may go either way.
        assert all(value < top - 5e-5 for first, value in best.items() if first < chosen[at])


def test_mpc_over_five_chunks_is_no_worse_than_any_of_many_plans() -> None:
    buffer, sizes, seen, last = situations(3, seed=9)
    chosen = MPC()(buffer, sizes, seen[:, -5:], last)
    for at in range(3):
        seconds = sizes[at].numpy() * (1 / seen[at, -5:].numpy()).mean()
        plans = {
            plan: worth(plan, buffer[at].item(), seconds, int(last[at]))
            for plan in itertools.product(range(6), repeat=5)
        }
        own = max(value for plan, value in plans.items() if plan[0] == chosen[at])
        assert own == pytest.approx(max(plans.values()), abs=2e-4)


def test_mpc_answers_alike_in_any_batch() -> None:
    buffer, sizes, seen, last = situations(700)
    policy = MPC()
    together = policy(buffer, sizes, seen[:, -5:], last)
    alone = policy(buffer[650:651], sizes[650:651], seen[650:651, -5:], last[650:651])
    assert together[650] == alone[0]
    shaped = policy(
        buffer.reshape(2, 1, 350), sizes[:350], seen[:, -5:].reshape(2, 1, 350, 5), last[:350]
    )
    assert shaped.shape == (2, 1, 350)
    assert (shaped[0, 0] == together[:350]).all()


def test_mpc_begins_low_and_reads_no_future_throughput() -> None:
    buffer, sizes, _, last = situations(5)
    assert MPC()(buffer, sizes, torch.zeros(5, 5), last).tolist() == [0] * 5


def test_robust_mpc_divides_by_its_worst_recent_error() -> None:
    seen = torch.full((1, 10), 2.0)
    assert MPC(robust=True).predicted(seen).item() == pytest.approx(2.0)
    seen[0, 7] = 1.0  # predicted 2, was 1: an error of 100 %
    rate = 5 / (4 / 2 + 1 / 1)
    assert MPC(robust=True).predicted(seen).item() == pytest.approx(rate / 2)
    assert MPC().predicted(seen).item() == pytest.approx(rate)


def test_one_step_is_as_good_as_five() -> None:
    buffer, sizes, seen, last = situations(50)
    assert inspect.signature(RateBased(steps=1)).parameters["throughputs"].default.steps == 2
    assert (RateBased(steps=1)(seen) == RateBased("max", steps=1)(seen[:, -2:])).all()
    short = inspect.signature(MPC(steps=1, ahead=1)).parameters
    assert (short["sizes"].default.steps, short["throughputs"].default.steps) == (2, 2)
    chosen = MPC(steps=1, ahead=1)(buffer, sizes[:, :2], seen[:, -2:], last)
    assert (chosen == MPC(steps=1, ahead=1)(buffer, sizes[:, :1], seen[:, -1:], last)).all()


def test_parameters_that_mean_nothing_are_refused() -> None:
    with pytest.raises(InterventionError, match="estimate"):
        RateBased("mean")  # type: ignore[arg-type]
    with pytest.raises(InterventionError, match="steps"):
        RateBased(steps=0)
    with pytest.raises(InterventionError, match="ahead"):
        MPC(ahead=0)
    with pytest.raises(InterventionError, match="share"):
        Mixed(BBA(), 1.5)
