"""Routing policies against enumeration and against their rules."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import torch

import causalsys as cs
from case_studies.load_balancing.system import generate
from causalsys import errors
from causalsys.simulate.policies.routing import (
    LeastLoaded,
    Pair,
    PowerOfK,
    RandomRouting,
    ShortestQueue,
    Tracker,
)
from models.load_balancing import LoadBalancer

QUEUES = torch.from_numpy(np.random.default_rng(0).integers(0, 4, size=(2, 3, 5, 6)).astype(float))


def _enumerated(queue: np.ndarray, k: int) -> np.ndarray:
    """Every choice of k servers, each as likely; the shortest of them share it."""
    odds = np.zeros(len(queue))
    sets = list(combinations(range(len(queue)), k))
    for chosen in sets:
        least = min(queue[s] for s in chosen)
        best = [s for s in chosen if queue[s] == least]
        odds[best] += 1 / len(best) / len(sets)
    return odds


@pytest.mark.parametrize("k", [1, 2, 3, 6])
def test_power_of_k_is_what_enumeration_gives(k: int) -> None:
    probs = PowerOfK(k)(QUEUES).probs
    assert probs.shape == QUEUES.shape
    wanted = np.apply_along_axis(_enumerated, -1, QUEUES.numpy(), k)
    np.testing.assert_allclose(probs, wanted, atol=1e-12)


def test_power_of_one_is_random_and_of_all_is_shortest() -> None:
    everywhere = PowerOfK(1)(QUEUES).probs
    np.testing.assert_allclose(everywhere, RandomRouting(6)(QUEUES).probs, atol=1e-12)
    shortest = ShortestQueue()(QUEUES).unsqueeze(-1)
    assert (PowerOfK(6)(QUEUES).probs.gather(-1, shortest) > 0).all()


def test_shortest_queue_takes_the_lowest_number_of_a_tie() -> None:
    chosen = ShortestQueue()(QUEUES)
    assert chosen.shape == QUEUES.shape[:-1]
    np.testing.assert_array_equal(chosen, QUEUES.numpy().argmin(-1))


def test_queues_may_be_whole_numbers() -> None:
    whole = QUEUES.long()
    assert torch.equal(ShortestQueue()(whole), ShortestQueue()(QUEUES))
    assert torch.equal(PowerOfK(2)(whole).probs, PowerOfK(2)(QUEUES).probs)
    assert torch.equal(LeastLoaded((1,) * 6)(whole), ShortestQueue()(QUEUES))
    assert torch.equal(Tracker()(whole, *2 * (None,))[0], Tracker()(QUEUES, *2 * (None,))[0])  # type: ignore[arg-type]


def test_a_pair_uses_its_two_servers_alone() -> None:
    probs = Pair(4, 1)(QUEUES).probs
    assert probs.shape == QUEUES.shape
    assert (probs[..., [1, 4]] == 0.5).all()
    assert (probs.sum(-1) == 1).all()


def test_least_loaded_counts_the_new_job() -> None:
    queues = torch.tensor([[0.0, 0.0], [0.0, 4.0], [1.0, 4.0]])
    assert LeastLoaded((5.0, 1.0))(queues).tolist() == [1, 0, 1]


def test_a_tracker_finds_the_rates() -> None:
    """After many jobs it does what the oracle does, on queues that it has not seen."""
    rng = np.random.default_rng(1)
    rates = np.array([4.0, 1.0, 2.0, 0.5])
    tracker, memory = Tracker(0.995), None
    server, work = torch.zeros(7, dtype=torch.long), torch.zeros(7, dtype=torch.float64)
    for _ in range(3000):
        queues = torch.from_numpy(rng.integers(0, 9, size=(7, 4)).astype(float))
        server, memory = tracker(queues, server, work, memory)
        work = torch.from_numpy(rates)[server] * torch.from_numpy(rng.uniform(9, 11, size=7))
    queues = torch.from_numpy(rng.integers(0, 9, size=(7, 4)).astype(float))
    average, weight = memory
    # A job scatters by 6 %, and the slowest server has seen some hundred of them: five times .6 %.
    np.testing.assert_allclose(average / weight, 10 * rates.repeat(7).reshape(4, 7).T, rtol=0.03)
    assert tracker(queues, server, work, memory)[0].shape == (7,)


def test_a_tracker_corrects_for_its_start() -> None:
    """One job in, the estimate is that job's work, and each server is tried before any again."""
    free = torch.zeros(1, 3)
    server, memory = Tracker()(free, torch.tensor([0]), torch.tensor([0.0]), None)
    seen = [int(server)]
    for work in (30.0, 10.0, 20.0):
        server, memory = Tracker()(free, server, torch.tensor([work]), memory)
        seen.append(int(server))
    assert seen == [0, 1, 2, 1]
    np.testing.assert_allclose(memory[0] / memory[1], [[30.0, 10.0, 20.0]])


def test_a_tracker_follows_worlds_that_part() -> None:
    """The first step may be one for all worlds; later ones have an axis more."""
    server, memory = Tracker()(torch.zeros(1, 2, 3), torch.zeros(1, 2), torch.zeros(1, 2), None)
    last = torch.tensor([[0, 1], [2, 2], [1, 0], [0, 0]])
    server, memory = Tracker()(torch.zeros(4, 2, 3), last, torch.ones(4, 2), memory)
    assert server.shape == (4, 2)
    assert memory[0].shape == (4, 2, 3)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: RandomRouting(5)(QUEUES), "5 servers, where the queues are 6"),
        (lambda: LeastLoaded((1.0,) * 5)(QUEUES), "5 servers, where the queues are 6"),
        (lambda: LeastLoaded((1.0, 0.0)), "Give positive numbers"),
        (lambda: PowerOfK(0), "k = 0"),
        (lambda: PowerOfK(7)(QUEUES), "k = 7 with 6 servers"),
        (lambda: Pair(2, 2), "Name two servers"),
        (lambda: Pair(2, 6)(QUEUES), "server 6 where there are 6"),
        (lambda: Tracker(1.0), "a decay of 1.0"),
    ],
)
def test_a_wrong_parameter_is_named(make: object, says: str) -> None:
    with pytest.raises(errors.InterventionError, match=says):
        make()  # type: ignore[operator]


def test_a_policy_that_looks_back_at_its_own_choices_asks_nothing_of_the_recorded_one() -> None:
    log, truth = generate(32, 20, seed=0)
    fitted = LoadBalancer.fit(log, ensemble=1)
    found = cs.simulate(fitted, log, policies={"tracker": truth.policies["tracker"]})
    names = {each.name for each in found.verdicts["latency"].assumptions}
    assert names == {"sequential exogeneity", "monotone one-dimensional noise"}


def test_what_the_recorded_policy_would_do_is_refused() -> None:
    verdict = LoadBalancer.identify("latency", do="gap", counterfactual=True)
    assert verdict.status == "not identified"
    assert "nothing of it is learned" in verdict.reason
    assert LoadBalancer.identify("latency", do=["gap", "server"], counterfactual=True).answerable
