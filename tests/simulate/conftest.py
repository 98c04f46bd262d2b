"""A small system whose truth is known: threads serve requests, heat that nobody logs costs time."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

import causalsys as cs


class Server(cs.SCM):
    """The more threads, the less waiting, and the more each second costs; heat multiplies that."""

    arm = cs.Arm()
    heat = cs.Latent(cs.Positive())
    arrivals = cs.Observed(cs.Positive("req"))
    waiting = cs.State(cs.Positive("req"))
    threads = cs.Decision(cs.Categorical([1, 2, 4]), parents=[arm, waiting], mechanism=cs.Logged())
    cost = cs.Observed(cs.Positive("ms"), parents=[heat, threads], mechanism=cs.Multiplicative())

    @cs.equation(cs.Positive("req"))
    def served(waiting, threads):
        return waiting.minimum(2.0**threads)

    @cs.equation(cs.Positive())
    def loss(cost, waiting):
        return cost + 0.5 * waiting

    @cs.transition(waiting)
    def later(waiting, served, arrivals):
        return waiting - served + arrivals


FACTOR = np.array([1.0, 1.7, 3.5])


@dataclass(frozen=True)
class System:
    """What was logged, and what was not."""

    log: pd.DataFrame
    heat: np.ndarray

    def under(self, policy) -> pd.DataFrame:
        """The same heat and arrivals under `policy(waiting) -> code`."""
        traces, steps = self.heat.shape
        arrivals = self.log["arrivals"].to_numpy().reshape(traces, steps)
        waiting, rows = np.zeros(traces), []
        for step in range(steps):
            code = policy(waiting)
            cost = self.heat[:, step] * FACTOR[code]
            rows.append((code, cost, cost + 0.5 * waiting))
            waiting = waiting - np.minimum(waiting, 2.0**code) + arrivals[:, step]
        found = self.log.copy()
        columns = [np.stack(part, axis=1).ravel() for part in zip(*rows, strict=True)]
        found["threads"] = np.array([1, 2, 4])[columns[0]]
        found["cost"], found["loss"] = columns[1], columns[2]
        return found


def system(*, traces: int = 60, steps: int = 80, seed: int = 0) -> System:
    """Three arms: at random, by the queue, and one or the other for a while."""
    rng = np.random.default_rng(seed)
    heat, noise = np.empty((traces, steps)), np.zeros(traces)
    for step in range(steps):
        noise = 0.95 * noise + 0.3 * rng.normal(size=traces)
        heat[:, step] = np.exp(noise)
    names = np.array(["random", "queue", "slow"])
    arm = rng.permutation(np.arange(traces) % 3)
    rows = pd.DataFrame(
        {
            "trace": np.repeat(np.arange(traces), steps),
            "step": np.tile(np.arange(steps), traces),
            "arm": np.repeat(names[arm], steps),
            "arrivals": rng.exponential(1.5, traces * steps),
        }
    )

    def policy(waiting: np.ndarray) -> np.ndarray:
        queue = np.digitize(waiting, [1.5, 4.0])
        slow = (rng.random(len(arm)) < 0.3).astype(int)
        return np.choose(arm, [rng.integers(3, size=len(arm)), queue, slow])

    return System(System(rows, heat).under(policy), heat)


@pytest.fixture(scope="session")
def served() -> System:
    return system()


@pytest.fixture(scope="session")
def fitted(served: System) -> cs.FittedSCM:
    return Server.fit(served.log, seed=0)
