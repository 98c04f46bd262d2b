"""SLSim: a network without latents in place of all that a decision reaches.

As in CausalSim (Alomar et al., NSDI 2023, section 6.1.3): two hidden layers of 128 units are given
what was recorded of a step (what the decision reached then, included), the state, and the action
that is taken, and say what follows: the step's outcomes and the next state. Trained on recorded
steps, where the action *was* the recorded one, it learns to repeat the outcome that it is given,
whatever the action; that is what makes it a fair picture of supervised simulators.

The network is scikit-learn's `MLPRegressor` on standardised columns, stopped early, on at most
40,000 steps drawn at random. It is put in the place of the mechanisms of a second declaration,
which is rolled forward as any other: so policies see in it whatever they see in the model.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from causalsys.data.schema import columns_of
from causalsys.data.traces import Traces
from causalsys.fit.fit import fit
from causalsys.fit.options import FitOptions
from causalsys.scm.declaration import Declaration, Node
from causalsys.scm.resolve import resolve
from causalsys.scm.specs import Logged
from causalsys.scm.structure import Structure
from causalsys.scm.supports import Categorical, Count, Fraction, Positive, Real, Support
from causalsys.scm.variables import Decision, Equation, Observed, State, Transition, Variable
from causalsys.simulate.baseline_offpolicy import Recorded
from causalsys.simulate.baselines import SUPERVISED
from causalsys.simulate.onestep import below, decisions
from causalsys.simulate.simulate import Simulator, as_do
from causalsys.simulate.simulation import Simulation

if TYPE_CHECKING:
    import pandas as pd

_ROWS = 40_000
_UNITS = (128, 128)
_PASSES = 25
_PREDICTED, _LOGGED = "predicted", "logged_"


@dataclass(frozen=True)
class Parts:
    """What becomes of a model's variables when a network takes over.

    Attributes:
        given: Logged variables that no decision reaches.
        chosen: The decisions.
        states: What a step finds of the past: states, and what is read off structures.
        outcomes: What follows within the step.
        logged: Those of the outcomes that were learned: their recorded values are given.
    """

    given: tuple[Node, ...]
    chosen: tuple[Node, ...]
    states: tuple[Node, ...]
    outcomes: tuple[Node, ...]
    logged: tuple[Node, ...]

    @classmethod
    def of(cls, declaration: Declaration, frame: pd.DataFrame) -> Parts:
        """Sort a model's variables."""
        chosen = decisions(declaration)
        reach = below(declaration, chosen)
        now = frozenset().union(*(declaration.graph.descendants(name) for name in chosen))
        nodes = [n for n in declaration.nodes.values() if not isinstance(n.support, Structure)]
        there = [n for n in nodes if set(columns_of(n)) <= set(frame.columns)]
        return cls(
            tuple(n for n in there if n.kind == "observed" and n.name not in reach),
            tuple(n for n in nodes if n.kind == "decision"),
            tuple(n for n in nodes if n.name in reach - now and n.kind != "decision"),
            tuple(n for n in nodes if n.name in now and n.kind != "decision"),
            tuple(n for n in there if n.name in now and n.learned and n.kind == "observed"),
        )

    @property
    def seen(self) -> tuple[Node, ...]:
        """What the network is given, in this order; the last ones as they were recorded."""
        return (*self.given, *self.chosen, *self.states, *self.logged)

    @property
    def told(self) -> tuple[Node, ...]:
        """What it says: this step's outcomes, then the next states."""
        return (*self.outcomes, *self.states)


def supervised(
    simulator: Simulator,
    policy: Any,
    *,
    learned_on: Recorded,
    keys: tuple[str, str],
    seed: int,
) -> Simulation:
    """The traces of a simulator as a network without latents rolls them under a policy.

    Args:
        simulator: The recorded traces.
        policy: What decides.
        learned_on: The traces that the network learns from: the same, or some of them.
        keys: The columns of traces and steps.
        seed: Fixes the network and random policies.
    """
    fitted, recorded, table = simulator.fitted, simulator.recorded, simulator.found.table
    parts = Parts.of(fitted.declaration, recorded)
    kept = learned_on.simulator.found.table
    known = {name: value[0] for name, value in kept.values.items()} | dict(learned_on.again)
    network = _trained(parts, known, kept.layout.trace, fitted.schema.supports, seed=seed)
    declaration = _declared(parts, known, kept.layout.first_rows, network)
    frame = recorded[[*keys, *(c for n in (*parts.given, *parts.chosen) for c in columns_of(n))]]
    frame = frame.assign(
        **{f"{_LOGGED}{c}": recorded[c] for n in parts.logged for c in columns_of(n)}
    )
    traces = Traces(frame, trace=keys[0], step=keys[1])
    rolled = fit(declaration, traces, options=FitOptions(seed, 1))
    found = Simulator.of(rolled, traces, seed=seed).run(
        {SUPERVISED: as_do(policy, SUPERVISED, fitted.declaration)}
    )
    values = {name: v for name, v in found.values.items() if name in fitted.declaration.nodes}
    left = {
        n.name: network.part(found.values[_PREDICTED], len(parts.outcomes) + place)
        for place, n in enumerate(parts.states)
        if n.name in table.left
    }
    return Simulation(
        (SUPERVISED,), values, recorded, table.layout, fitted.schema, found.verdicts, left
    )


@dataclass(frozen=True)
class Network:
    """What was learned, as functions of tensors.

    Attributes:
        layers: Weights and biases, of standardised columns.
        scales: Centres and spreads of what goes in and of what comes out.
        seen: The supports of what goes in.
        told: The supports of what comes out.
    """

    layers: tuple[tuple[Tensor, Tensor], ...]
    scales: tuple[Tensor, Tensor, Tensor, Tensor]
    seen: tuple[Support, ...]
    told: tuple[Support, ...]

    @property
    def width(self) -> int:
        """How many numbers come out."""
        return sum(support.size or 1 for support in self.told)

    def __call__(self, *given: Tensor) -> Tensor:
        hidden = (features(given, self.seen) - self.scales[0]) / self.scales[1]
        for weights, shift in self.layers[:-1]:
            hidden = (hidden @ weights + shift).relu()
        weights, shift = self.layers[-1]
        return (hidden @ weights + shift) * self.scales[3] + self.scales[2]

    def part(self, predicted: Tensor, place: int) -> Tensor:
        """One variable of what came out, brought into its support."""
        start = sum(support.size or 1 for support in self.told[:place])
        support = self.told[place]
        part = predicted[..., start : start + (support.size or 1)]
        part = part if support.size else part[..., 0]
        if isinstance(support, Categorical):
            return part.round().clamp(0, support.cardinality - 1).long()
        if isinstance(support, Fraction):
            return part.clamp(0, 1)
        part = part.clamp(min=0) if isinstance(support, Positive | Count) else part
        return part.round() if isinstance(support, Count) else part


def features(given: Sequence[Tensor], supports: Sequence[Support]) -> Tensor:
    """Variables side by side, categories as indicators, `[..., row, feature]`."""
    wide = []
    for value, support in zip(given, supports, strict=True):
        if isinstance(support, Categorical):
            value = torch.nn.functional.one_hot(value.long(), support.cardinality).double()
            wide.append(value.flatten(-2) if support.size else value)
        else:
            wide.append(value.double() if support.size else value.double().unsqueeze(-1))
    lead = torch.broadcast_shapes(*(value.shape[:-1] for value in wide))
    return torch.cat([value.expand(*lead, value.shape[-1]) for value in wide], -1)


def _trained(
    parts: Parts,
    known: Mapping[str, Tensor],
    trace: Tensor,
    supports: Mapping[str, Support],
    *,
    seed: int,
) -> Network:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPRegressor

    followed = np.flatnonzero((trace[1:] == trace[:-1]).numpy())
    rng = np.random.default_rng(seed)
    rows = torch.from_numpy(rng.choice(followed, min(_ROWS, len(followed)), replace=False))
    seen = tuple(supports[n.name] for n in parts.seen)
    told = tuple(supports[n.name] for n in parts.told)
    into = features([known[n.name][rows] for n in parts.seen], seen)
    out = torch.cat(
        [
            known[n.name][rows + (place >= len(parts.outcomes))].double().reshape(len(rows), -1)
            for place, n in enumerate(parts.told)
        ],
        -1,
    )
    scales = (into.mean(0), _spread(into), out.mean(0), _spread(out))
    model = MLPRegressor(
        hidden_layer_sizes=_UNITS,
        batch_size=min(512, len(rows)),
        max_iter=_PASSES,
        early_stopping=len(rows) > 100,
        n_iter_no_change=4,
        random_state=seed,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        target: NDArray[np.float64] = ((out - scales[2]) / scales[3]).numpy()
        model.fit(((into - scales[0]) / scales[1]).numpy(), target.squeeze())
    layers = tuple(
        (torch.from_numpy(weights), torch.from_numpy(shift))
        for weights, shift in zip(model.coefs_, model.intercepts_, strict=True)
    )
    return Network(layers, scales, seen, told)


def _spread(columns: Tensor) -> Tensor:
    spread = columns.std(0, unbiased=False)
    return torch.where(spread > 0, spread, torch.ones_like(spread))


def _declared(
    parts: Parts, known: Mapping[str, Tensor], first: Tensor, network: Network
) -> Declaration:
    """The model in which the network takes over."""
    supports = dict(zip([n.name for n in parts.seen], network.seen, strict=True))
    handles: dict[str, Variable] = {n.name: Observed(supports[n.name]) for n in parts.given}
    handles |= {f"{_LOGGED}{n.name}": Observed(supports[n.name]) for n in parts.logged}
    steps: list[Transition] = []
    for place, node in enumerate(parts.states):
        start = float(known[node.name][first].double().mean())
        handles[node.name] = State(supports[node.name], initial=start)
        steps.append(Transition(node.name, _Read(network, len(parts.outcomes) + place)))
    for node in parts.chosen:
        handles[node.name] = Decision(supports[node.name], mechanism=Logged())
    names = [n.name for n in (*parts.given, *parts.chosen, *parts.states)]
    names += [f"{_LOGGED}{n.name}" for n in parts.logged]
    handles[_PREDICTED] = Equation(Real(size=network.width), _named(network, names))
    for place, node in enumerate(parts.outcomes):
        handles[node.name] = Equation(network.told[place], _Read(network, place))
    for name, handle in handles.items():
        handle.name = name
    return resolve("Supervised", handles, transitions=steps, selected=[], doc=SUPERVISED)


@dataclass(frozen=True)
class _Read:
    """One variable, read off what the network said."""

    network: Network
    place: int

    def __call__(self, predicted: Tensor) -> Tensor:
        return self.network.part(predicted, self.place)


@dataclass(frozen=True)
class _Named:
    """The network; its signature says which variables it reads."""

    network: Network

    def __call__(self, *given: Tensor) -> Tensor:
        return self.network(*given)


def _named(network: Network, names: Sequence[str]) -> _Named:
    """The network as a function of variables by their names."""
    function = _Named(network)
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    signature = inspect.Signature([inspect.Parameter(name, kind) for name in names])
    object.__setattr__(function, "__signature__", signature)
    return function


__all__ = ["supervised"]
