"""Random systems that a predictor reads: graphs of five to ten variables, their truth known.

Variables are sums of straight, saturating and squared effects of their causes, and normal noise.
Some systems have a hidden class or a hidden number among the causes, which the model declares.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

import causalsys as cs

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Law:
    """One variable's mechanism: `start + sum of effects + scale * noise`.

    Attributes:
        start: The value without causes.
        effects: By cause, a slope and a shape: "line", "tanh" or "square".
        scale: The deviation of the noise; of a class the share of ones instead.
        kind: "number", "class" (0 or 1, a root) or "latent" (a number that is not logged).
    """

    start: float
    effects: Mapping[str, tuple[float, str]]
    scale: float
    kind: str = "number"

    def drawn(self, values: Mapping[str, Floats], random: np.random.Generator, rows: int) -> Floats:
        """Its values `[row]`, given those of its causes."""
        if self.kind == "class":
            return (random.random(rows) < self.scale).astype(float)
        return self.mean(values, rows) + self.scale * random.standard_normal(rows)

    def mean(self, values: Mapping[str, Floats], rows: int) -> Floats:
        """Its mean `[row]`, given its causes."""
        found = np.full(rows, self.start)
        for name, (slope, shape) in self.effects.items():
            found = found + slope * _SHAPES[shape](values[name])
        return found


_SHAPES = {
    "line": lambda x: x,
    "tanh": lambda x: 1.5 * np.tanh(x),
    "square": lambda x: 0.5 * x**2,
}


@dataclass(frozen=True)
class System:
    """A causal system with a target.

    Attributes:
        laws: By variable, causes first.
        target: What is predicted.
        inputs: What the predictor reads.
        title: The name of the model.
    """

    laws: Mapping[str, Law]
    target: str
    inputs: tuple[str, ...]
    title: str

    def with_law(self, name: str, **changes: object) -> System:
        """The system with another mechanism of one variable."""
        return replace(self, laws={**self.laws, name: replace(self.laws[name], **changes)})  # type: ignore[arg-type]

    def draw(self, rows: int, random: np.random.Generator) -> dict[str, Floats]:
        """All variables, latents too, `[row]` each."""
        values: dict[str, Floats] = {}
        for name, law in self.laws.items():
            values[name] = law.drawn(values, random, rows)
        return values

    def below(self, name: str) -> list[str]:
        """The variables that it causes, directly or not, causes first."""
        found = [name]
        for other, law in self.laws.items():
            if set(law.effects) & set(found):
                found.append(other)
        return found[1:]

    def above(self, name: str) -> list[str]:
        """The variables that cause it, directly or not."""
        return [other for other in self.laws if name in self.below(other)]

    def redrawn(
        self, values: Mapping[str, Floats], names: list[str], random: np.random.Generator
    ) -> dict[str, Floats]:
        """The same rows with some variables drawn anew."""
        found = dict(values)
        for name in names:
            found[name] = self.laws[name].drawn(found, random, len(found[self.target]))
        return found

    def seen(self, values: Mapping[str, Floats]) -> pd.DataFrame:
        """The columns that are logged."""
        logged = [name for name, law in self.laws.items() if law.kind == "number"]
        return pd.DataFrame({name: values[name] for name in logged})

    def model(self) -> type[cs.SCM]:
        """The declaration: the graph, latents as latents, and families that fit."""
        effects: dict[str, list[str]] = {
            name: [other for other, law in self.laws.items() if name in law.effects]
            for name in self.laws
        }
        variables: dict[str, cs.Latent | cs.Observed] = {}
        for name, law in self.laws.items():
            if law.kind == "class":
                variables[name] = cs.Latent(cs.Categorical(2))
            elif law.kind == "latent":
                variables[name] = cs.Latent(cs.Real())
            else:
                bent = any(shape != "line" for _, shape in law.effects.values())
                spec = cs.Quadratic() if bent else cs.Linear()
                variables[name] = cs.Observed(cs.Real(), mechanism=spec)
        return cs.SCM.from_graph(effects, name=self.title, variables=variables)


def random_system(seed: int) -> System:
    """The system of a seed: each third has a hidden class, or a hidden number."""
    random = np.random.default_rng([seed, 1])
    count = int(random.integers(5, 11))
    hidden = (None, "class", "latent")[int(random.integers(0, 3))]
    at = int(random.integers(3, count))
    laws: dict[str, Law] = {}
    if hidden is not None:
        laws["hidden"] = Law(0.0, {}, 0.4 if hidden == "class" else 1.0, hidden)
    roots = 2 if count < 7 else 3
    for index in range(count):
        name = "y" if index == at else f"x{index}"
        earlier = [other for other, law in laws.items() if law.kind == "number" and other != "y"]
        laws[name] = _law(index, name, earlier, roots, "y" in laws, random)
    if hidden is not None:
        _hide(laws, random, hidden)
    target = laws["y"]
    laws["y"] = replace(target, start=12.0 if random.random() < 0.5 else target.start)
    found = System(laws, "y", (), f"System{seed}")
    below = {"y", "hidden", *found.below("y")}
    inputs = tuple(name for name in laws if name not in below)
    return replace(found, inputs=inputs)


def _law(
    index: int,
    name: str,
    earlier: list[str],
    roots: int,
    after: bool,
    random: np.random.Generator,
) -> Law:
    """A root, a straight middle, or a target that may bend."""
    if index < roots:
        return Law(0.0, {}, float(random.uniform(0.8, 1.2)))
    least = 2 if name == "y" else 1
    several = min(len(earlier), int(random.integers(least, 4)))
    causes = [earlier[k] for k in random.permutation(len(earlier))[:several]]
    effects = {
        cause: (float(random.choice([-1, 1]) * random.uniform(0.5, 1.2)), "line")
        for cause in causes
    }
    if name == "y" and random.random() < 0.6:
        bent = causes[0]
        effects[bent] = (effects[bent][0], str(random.choice(["tanh", "square"])))
    if after and random.random() < 0.6:
        effects = {
            "y": (float(random.uniform(0.6, 1.2)), "line"),
            **dict(list(effects.items())[:1]),
        }
    return Law(0.0, effects, float(random.uniform(0.4, 0.8)))


def _hide(laws: dict[str, Law], random: np.random.Generator, hidden: str) -> None:
    """Let the hidden variable move two or three of the variables before the target."""
    before = [name for name in laws if name not in ("hidden", "y")][:4]
    size = 2.5 if hidden == "class" else 0.8
    for name in random.permutation(before)[:3]:
        law = laws[str(name)]
        slope = float(random.choice([-1, 1]) * random.uniform(0.8, 1.2) * size)
        laws[str(name)] = replace(law, effects={"hidden": (slope, "line"), **law.effects})


__all__ = ["Floats", "Law", "System", "random_system"]
