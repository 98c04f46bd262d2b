"""The mixed graph of a model: its latents projected out, its steps laid out.

A model of independent rows is one step. One with lags or states is laid out over enough steps for
every way in which neighbouring steps can be tied, from the beginning of a trace; a variable as it
was two steps before the last is `load[-2]`, as its children call it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from causalsys.identify.mixed import Links, Mixed
from causalsys.identify.question import logged
from causalsys.scm.declaration import Declaration, Node
from causalsys.scm.frozen import FrozenDict
from causalsys.scm.order import reached


@dataclass(frozen=True)
class Steps:
    """A model's graph over its steps.

    Attributes:
        mixed: Over what is logged.
        parents: Over everything, latents and lasting noises included.
        at: The name of each variable at each of its steps, the last one first.
        latents: What is hidden, by its name at a step.
        base: The variable that each label is of; lasting noises have none.
    """

    mixed: Mixed
    parents: Links
    at: Mapping[str, tuple[str, ...]]
    latents: frozenset[str]
    base: Mapping[str, str]

    def every(self, names: Iterable[str]) -> frozenset[str]:
        """These variables at all of their steps."""
        return frozenset(label for name in names for label in self.at[name])

    def variables(self, labels: Iterable[str]) -> frozenset[str]:
        """The variables that these labels are of."""
        return frozenset(self.base[label] for label in labels if label in self.base)


def steps_of(declaration: Declaration) -> Steps:
    """Lay out a model; traces have begun `2 * lag + 2` steps before, the longest lag counting."""
    longest = max(declaration.graph.longest_lag, int(_lasts_anywhere(declaration)))
    count = 2 * longest + 2 if longest else 1
    parents: dict[str, frozenset[str]] = {}
    at: dict[str, list[str]] = {name: [] for name in declaration.nodes}
    latents: set[str] = set()
    told = logged(declaration)
    for step in range(1 - count, 1):
        for node in declaration.nodes.values():
            label = _label(node, step)
            if label in parents:
                continue
            if node.name not in told:
                latents.add(label)
            causes = {
                _label(declaration.nodes[ref.name], step - ref.lag)
                for ref in node.parents
                if step - ref.lag > -count or declaration.nodes[ref.name].per == "trace"
            }
            for seen in node.sees:
                causes.add(f"noise of {_label(declaration.nodes[seen], step)}")
            if node.lasting:
                own = f"noise of {label}"
                before = f"noise of {_label(node, step - 1)}"
                parents[own] = frozenset({before} & parents.keys())
                latents.add(own)
                causes.add(own)
            parents[label] = frozenset(causes)
            at[node.name].insert(0, label)
    frozen = FrozenDict(parents)
    base = {label: name for name, labels in at.items() for label in labels}
    return Steps(
        _projected(declaration, frozen, latents, base),
        frozen,
        FrozenDict({name: tuple(labels) for name, labels in at.items()}),
        frozenset(latents),
        FrozenDict(base),
    )


def _lasts_anywhere(declaration: Declaration) -> bool:
    return any(node.lasting for node in declaration.nodes.values())


def _label(node: Node, step: int) -> str:
    return node.name if step == 0 or node.per == "trace" else f"{node.name}[{step}]"


def _projected(
    declaration: Declaration, parents: Links, latents: set[str], base: Mapping[str, str]
) -> Mixed:
    """The latent projection (Verma, 1993)."""
    children: dict[str, set[str]] = {name: set() for name in parents}
    for effect, causes in parents.items():
        for cause in causes:
            children[cause].add(effect)
    through = {name: children[name] if name in latents else () for name in parents}
    observed = [name for name in parents if name not in latents]
    directed = [
        (name, effect)
        for name in observed
        for effect in sorted(reached(children[name], through) - latents)
    ]
    bidirected = []
    for latent in sorted(latents):
        shared = sorted(reached([latent], through) - latents)
        bidirected += [(a, b) for a in shared for b in shared if a < b]
    plain = Mixed.of(observed, directed=directed, bidirected=bidirected)
    known = [
        name
        for name in observed
        if declaration.nodes[base[name]].function is not None
        and not parents[name] & latents
        and not plain.siblings[name]
    ]
    return Mixed(plain.nodes, plain.parents, plain.siblings, frozenset(known))
