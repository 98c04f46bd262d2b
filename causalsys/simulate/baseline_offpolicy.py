"""Off-policy estimates of a left-out arm, from the traces of arms whose policy is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from causalsys.data.schema import columns_of
from causalsys.data.table import Layout
from causalsys.scm.declaration import Node
from causalsys.scm.evaluate import computed
from causalsys.scm.structure import Structure
from causalsys.scm.supports import Categorical
from causalsys.simulate.distance import Values
from causalsys.simulate.forecast import Forecaster
from causalsys.simulate.objective import Objective
from causalsys.simulate.offpolicy import OffPolicy, Weights, probabilities
from causalsys.simulate.onestep import decisions, noise_of, pushed, tellable
from causalsys.simulate.simulate import Simulator
from causalsys.simulate.simulation import Simulation

IPS, DOUBLY = "ips", "doubly robust"


@dataclass(frozen=True, eq=False)
class Recorded:
    """Recorded traces, as policies would see them.

    Attributes:
        simulator: The traces.
    """

    simulator: Simulator

    @cached_property
    def decision(self) -> Node | None:
        """The one decision, where it is one category."""
        declaration = self.simulator.fitted.declaration
        names = decisions(declaration)
        node = declaration.nodes[names[0]]
        plain = isinstance(node.support, Categorical) and not node.support.size
        return node if len(names) == 1 and plain else None

    @property
    def layout(self) -> Layout:
        """The rows' traces."""
        return self.simulator.found.table.layout

    @cached_property
    def chosen(self) -> Values:
        """What was chosen, as codes, `[row]`."""
        assert self.decision is not None
        return np.asarray(self.simulator.found.table.values[self.decision.name][0].numpy())

    def known(self, name: str) -> Tensor:
        """A variable's recorded values, `[row]` (vectors `[row, size]`)."""
        values = self.simulator.found.table.values
        return values[name][0] if name in values else self.again[name]

    @cached_property
    def again(self) -> Mapping[str, Tensor]:
        """What follows from the record and is not kept with it, computed once more."""
        recorded = self.simulator.recorded
        done = {}
        for name in decisions(self.simulator.fitted.declaration):
            node = self.simulator.fitted.declaration.nodes[name]
            kept = recorded[columns_of(node)].to_numpy()
            done[name] = kept if node.support.size else kept[:, 0]
        values = replace(self.simulator, keep="all").run({"recorded": done}).values
        return {name: value[0, 0] for name, value in values.items()}

    def chances(self, policy: Any) -> Values | str:
        """What a policy would choose at each step, `[row, level]`; or why that cannot be told."""
        if self.decision is None:
            return "the model decides otherwise than by one category"
        support = self.simulator.fitted.schema.supports[self.decision.name]
        assert isinstance(support, Categorical)
        with torch.no_grad():
            return probabilities(
                policy, self.known, self.layout, name=self.decision.name, support=support
            )

    def impossible(self, policy: Any) -> float:
        """The share of steps whose choice a policy could not have made; NaN where nobody knows."""
        chances = self.chances(policy)
        if isinstance(chances, str):
            return float("nan")
        return float((self._taken(chances) <= 0).mean())

    def _taken(self, chances: Values) -> Values:
        return np.asarray(chances[np.arange(len(chances)), self.chosen.astype(np.int64)])

    def estimates(
        self,
        target: Any,
        *,
        labels: np.ndarray[Any, Any],
        policies: Mapping[str, Any],
        metrics: tuple[Objective, ...],
        level: float,
        seed: int,
    ) -> tuple[OffPolicy, ...]:
        """Off-policy estimates of the metrics that are means over rows.

        Args:
            target: The policy in question.
            labels: Each row's arm, `[row]`.
            policies: The policies of these arms, as far as they are known.
            metrics: The metrics.
            level: Of the intervals.
            seed: Fixes the traces that are drawn anew.
        """
        frame = self.simulator.recorded
        means = [m for m in metrics if m.quantile is None]
        rewards = {m.name: m.by_row(frame) for m in means}
        means = [m for m in means if rewards[m.name].ndim]
        if not means:
            return ()
        wanted = self.chances(target)
        if isinstance(wanted, str):
            return _refused(means, f"of its policy nothing can be told: {wanted}")
        taken: dict[str, Values] = {}
        for arm in dict.fromkeys(labels):
            chances = self.chances(policies[arm]) if arm in policies else "unknown"
            # An arm that recorded what its policy never does ran another one.
            if not isinstance(chances, str) and (self._taken(chances)[labels == arm] > 0).all():
                taken[arm] = self._taken(chances)
        if not taken:
            return _refused(means, "no other arm's policy is known as what it ran")
        rows = np.isin(labels, list(taken))
        layout = _some(self.layout, rows)
        first = layout.first_rows.numpy()
        shares = np.array([(labels[rows][first] == arm).mean() for arm in taken])
        weights = Weights.of(
            self._taken(wanted)[rows],
            np.stack([each[rows] for each in taken.values()]),
            shares,
            layout,
        )
        least = float(weights.effective().min())
        if why := weights.refusal():
            return tuple(replace(each, effective=least) for each in _refused(means, why))
        found = []
        for metric in means:
            reward = rewards[metric.name]
            plain = weights.mean(reward[rows], level=level, seed=seed)
            found.append(OffPolicy(IPS, metric.name, plain, least))
            told = self._foreseen(metric, wanted)
            if isinstance(told, str):
                found.append(OffPolicy(DOUBLY, metric.name, None, least, told))
                continue
            model = (self._taken(told)[rows], (told * wanted).sum(1)[rows])
            robust = weights.mean(reward[rows], foreseen=model, level=level, seed=seed)
            found.append(OffPolicy(DOUBLY, metric.name, robust, least))
        return tuple(found)

    def _foreseen(self, metric: Objective, wanted: Values) -> Values | str:
        """The metric of each row under each action, as it is foreseen, `[row, level]`."""
        told = []
        for code in range(wanted.shape[1]):
            step = foresee(self, code)
            if isinstance(step, str):
                return step
            told.append(metric.by_row(step.frame("foreseen")))
        return np.stack(told, 1)

    @cached_property
    def expected(self) -> dict[str, Values]:
        """The noise that each step's past makes one expect, for each variable that tells it."""
        found = self.simulator.found
        told = {}
        for node in self.simulator.fitted.declaration.nodes.values():
            if node.name in found.mechanisms and node.kind == "observed" and node.learned:
                if not tellable(self.simulator.fitted, node):
                    continue
                noise = noise_of(found, node)
                expected, known = Forecaster.learn(noise, self.layout).expect(noise, self.layout)
                told[node.name] = np.where(known, expected, noise.mean())
        return told


def foresee(recorded: Recorded, code: int) -> Simulation | str:
    """One step under an action, the past as recorded and the noise as its past makes one expect.

    Returns:
        The rows; or in words why they cannot be foreseen.
    """
    simulator, node = recorded.simulator, recorded.decision
    assert node is not None
    fitted, found, layout = simulator.fitted, simulator.found, recorded.layout
    supports = fitted.schema.supports
    changed = {node.name: torch.full((len(layout.trace),), code)}
    now = fitted.declaration.graph.descendants(node.name)
    for name, each in fitted.declaration.nodes.items():
        if name not in now:
            continue
        if any(isinstance(supports[parent.name], Structure) for parent in each.parents):
            return f"{name} is read off a structure, which is there only while traces are rolled"
        parents = {}
        for ref in each.parents:
            value = recorded.known(ref.name)
            if ref.lag:
                value = layout.earlier(value, ref.lag, initial=ref.initial, row_axis=0)
            parents[ref.key] = value if ref.lag else changed.get(ref.name, value)
        if each.function is not None:
            changed[name] = computed(each, list(parents.values()), supports=supports)
        elif name in recorded.expected:
            changed[name] = torch.from_numpy(
                pushed(found, each, recorded.expected[name], parents=parents)
            )
        else:
            return f"the noise of {name} cannot be told from its value"
    values = {name: value[None, None] for name, value in changed.items()}
    return Simulation(("foreseen",), values, simulator.recorded, layout, fitted.schema, {})


def _refused(metrics: list[Objective], why: str) -> tuple[OffPolicy, ...]:
    return tuple(OffPolicy(by, m.name, None, 0.0, why) for m in metrics for by in (IPS, DOUBLY))


def _some(layout: Layout, rows: np.ndarray[Any, Any]) -> Layout:
    """The layout of some whole traces."""
    kept = torch.from_numpy(np.flatnonzero(rows))
    trace = torch.unique(layout.trace[kept], return_inverse=True)[1]
    return Layout(trace, layout.position[kept])


__all__ = ["DOUBLY", "IPS", "Recorded", "foresee"]
