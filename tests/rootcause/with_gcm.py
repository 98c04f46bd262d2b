"""dowhy's attributions over our mechanisms, so that nothing differs but the estimator."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import networkx as nx
import numpy as np
import pandas as pd
import torch
from dowhy import gcm
from dowhy.gcm.causal_mechanisms import InvertibleFunctionalCausalModel, StochasticModel
from dowhy.gcm.distribution_change import distribution_change_of_graphs
from dowhy.gcm.util.general import set_random_seed
from numpy.typing import NDArray

import causalsys as cs
from causalsys.mechanisms.base import Mechanism


def _noise(mechanism: Mechanism, rows: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(int(np.random.randint(2**31)))  # noqa: NPY002
    return mechanism.draw_noise((1, rows), generator=generator)


class Root(StochasticModel):  # type: ignore[misc]
    """A variable without causes."""

    def __init__(self, mechanism: Mechanism) -> None:
        self.mechanism = mechanism

    def fit(self, X: NDArray[np.float64]) -> None:
        """It is fitted."""

    def clone(self) -> Root:
        """Another one."""
        return Root(self.mechanism)

    def draw_samples(self, num_samples: int) -> NDArray[np.float64]:
        """Values."""
        drawn = self.mechanism.push(_noise(self.mechanism, num_samples), {})
        return drawn.reshape(-1, 1).numpy()


class Inner(InvertibleFunctionalCausalModel):  # type: ignore[misc]
    """A variable with causes."""

    def __init__(self, mechanism: Mechanism, causes: Sequence[str]) -> None:
        self.mechanism, self.causes = mechanism, causes

    def fit(self, X: NDArray[np.float64], Y: NDArray[np.float64]) -> None:
        """It is fitted."""

    def clone(self) -> Inner:
        """Another one."""
        return Inner(self.mechanism, self.causes)

    def draw_noise_samples(self, num_samples: int) -> NDArray[np.float64]:
        """Noise from its law."""
        return _noise(self.mechanism, num_samples).reshape(-1, 1).numpy()

    def evaluate(
        self, parent_samples: NDArray[np.float64], noise_samples: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Values of noises."""
        noise = torch.tensor(np.asarray(noise_samples, dtype=float).reshape(1, -1))
        return self.mechanism.push(noise, self._above(parent_samples)).reshape(-1, 1).numpy()

    def estimate_noise(
        self, target_samples: NDArray[np.float64], parent_samples: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Noises of values."""
        value = torch.tensor(np.asarray(target_samples, dtype=float).reshape(1, -1))
        return self.mechanism.pull(value, self._above(parent_samples)).reshape(-1, 1).numpy()

    def _above(self, values: NDArray[np.float64]) -> dict[str, torch.Tensor]:
        columns = torch.tensor(np.array(values, dtype=float))
        return {cause: columns[:, at][None] for at, cause in enumerate(self.causes)}


def wrapped(fitted: cs.FittedSCM) -> Any:
    """A fitted model as dowhy sees one."""
    edges = [(edge.cause, edge.effect) for edge in fitted.declaration.graph.edges]
    graph: nx.DiGraph[str] = nx.DiGraph(edges)
    model = gcm.InvertibleStructuralCausalModel(graph)
    for name in graph.nodes:
        mechanism = fitted.mechanisms[name].members(torch.tensor([0]))
        causes = sorted(graph.predecessors(name))
        model.set_causal_mechanism(name, Inner(mechanism, causes) if causes else Root(mechanism))
        graph.nodes[name]["parents_during_fit"] = causes
    return model


@contextmanager
def quiet() -> Iterator[None]:
    """Without dowhy's progress bars and warnings."""
    gcm.config.disable_progress_bars()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def anomalies(
    fitted: cs.FittedSCM,
    rows: pd.DataFrame,
    target: str,
    *,
    names: Sequence[str],
    draws: int,
    runs: int,
    deviation: bool = False,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """dowhy's contributions `[row, variable]`: the mean over runs, and its standard error."""
    found = []
    with quiet():
        model = wrapped(fitted)
        for seed in range(runs):
            set_random_seed(seed)
            each = gcm.attribute_anomalies(
                model,
                target,
                rows,
                num_distribution_samples=draws,
                attribute_mean_deviation=deviation,
            )
            found.append(np.stack([each[name] for name in names], axis=-1))
    return _over(found)


def change(
    old: cs.FittedSCM,
    new: cs.FittedSCM,
    target: str,
    *,
    names: Sequence[str],
    draws: int,
    runs: int,
    difference: Callable[[Any, Any], float] | None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """dowhy's contributions `[variable]` to a change, likewise; its default is a divergence."""
    found = []
    how = {} if difference is None else {"difference_estimation_func": difference}
    with quiet():
        for seed in range(runs):
            set_random_seed(seed)
            each = distribution_change_of_graphs(
                wrapped(old), wrapped(new), target, num_samples=draws, **how
            )
            found.append(np.array([each[name] for name in names]))
    return _over(found)


def _over(found: list[NDArray[np.float64]]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    stacked = np.stack(found)
    return stacked.mean(axis=0), stacked.std(axis=0, ddof=1) / len(stacked) ** 0.5
