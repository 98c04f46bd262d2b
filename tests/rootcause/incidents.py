"""Linear systems with known slopes, and incidents in them whose truth is known row by row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd

import causalsys as cs
from causalsys.fitted import FittedSCM
from causalsys.rootcause.finding import Finding

CLEAN = np.array([0, 0, 1, 1.2, 1, 0.8, 1, 1.0])
"""How strong a fault is, row by row, where the window has rows before it."""
FAULTY = np.array([0.9, 1.1, 1, 1.2, 1, 0.8, 1, 1.0])
"""And where it has none."""
NORMAL = 400


@dataclass(frozen=True)
class System:
    """A linear system; each variable is 5, its parents' parts, noise, and what is wrong with it.

    Attributes:
        slopes: For each variable its parents and their slopes, causes first.
        hidden: Latents, by the component that they stand for.
        noise: The standard deviation of every variable's own noise; a latent's is 1.
        components: Whether variables have components ("db" of "db", "db/cpu" and so on).
    """

    slopes: Mapping[str, Mapping[str, float]]
    hidden: Mapping[str, str] = field(default_factory=dict)
    noise: float = 0.5
    components: bool = True

    @cached_property
    def model(self) -> type[cs.SCM]:
        made: dict[str, cs.Observed | cs.Latent] = {}
        for name, parents in self.slopes.items():
            if name in self.hidden:
                made[name] = cs.Latent(cs.Real(), component=self.hidden[name])
                continue
            made[name] = cs.Observed(
                cs.Real(),
                parents=[made[parent] for parent in parents],
                mechanism=cs.Linear(),
                component=name.split("_")[0] if self.components else None,
            )
        return type("Linear", (cs.SCM,), made)

    def rows(
        self,
        rng: np.random.Generator,
        count: int = NORMAL,
        *,
        start: int = 0,
        own: Mapping[str, np.ndarray | float] | None = None,
    ) -> pd.DataFrame:
        """Rows with something added to some variables' own parts; latents are left out."""
        values: dict[str, np.ndarray] = {}
        for name, parents in self.slopes.items():
            scale = 1.0 if name in self.hidden else self.noise
            values[name] = rng.normal(0 if name in self.hidden else 5, scale, count)
            values[name] += (own or {}).get(name, 0)
            for parent, slope in parents.items():
                values[name] += slope * values[parent]
        seen = {name: value for name, value in values.items() if name not in self.hidden}
        return pd.DataFrame(seen, index=range(start, start + count))

    def incident(
        self,
        rng: np.random.Generator,
        faults: Mapping[str, float],
        *,
        profile: np.ndarray = CLEAN,
        level: Mapping[str, float] | None = None,
    ) -> pd.DataFrame:
        """A window of faults that follow one profile, on levels that may have moved."""
        own = {name: size * profile for name, size in faults.items()}
        for name, moved in (level or {}).items():
            own[name] = own.get(name, np.zeros(len(profile))) + moved
        return self.rows(rng, len(profile), start=10_000, own=own)

    def effect(self, cause: str, target: str) -> float:
        """The total effect of one unit of a variable on another."""
        found = dict.fromkeys(self.slopes, 0.0)
        found[cause] = 1.0
        for name, parents in self.slopes.items():
            found[name] += sum(slope * found[parent] for parent, slope in parents.items())
        return found[target]

    def unexplained(self, rows: pd.DataFrame, name: str) -> np.ndarray:
        """What a variable's parents do not explain, exactly, about its mean in normal rows."""
        parts = [slope * rows[parent] for parent, slope in self.slopes[name].items()]
        return np.asarray(rows[name] - sum(parts) - 5)


SHOP = System(
    {
        "load": {},
        "db": {"load": 0.5},
        "cart": {"load": 0.4, "db": 1.0},
        "pay": {"load": 0.8},
        "idle": {},
        "page": {"cart": 1.0, "pay": 0.5, "idle": 0.0},
        "bill": {"page": 2.0},
    }
)
"""A page that waits for a cart and a payment; `idle` is declared a cause and has no effect."""
DIAMOND = System(
    {
        "a": {},
        "b": {"a": 1.0},
        "c": {"a": 0.8},
        "aside": {},
        "d": {"b": 1.0, "c": 1.0, "aside": 0.7},
        "e": {"d": 1.0},
    }
)
HOST = System(
    {
        "h": {},
        **{f"s{i}": {"h": 1.0} for i in range(4)},
        **{f"t{i}": {} for i in range(8)},
        "page": {**{f"s{i}": 1.0 for i in range(4)}, **{f"t{i}": 1.0 for i in range(8)}},
    },
    hidden={"h": "host:one"},
)
"""Four of twelve services share a host that is not seen."""


@dataclass(frozen=True)
class Known:
    """A system with its normal rows and the model that was fitted to them."""

    system: System
    rng: np.random.Generator
    normal: pd.DataFrame
    fitted: FittedSCM

    def ask(self, incident: pd.DataFrame, target: str, **settings: int) -> Finding:
        return cs.root_cause(self.fitted, incident, target=target, normal=self.normal, **settings)


def known(system: System, seed: int, *, rows: int = NORMAL) -> Known:
    rng = np.random.default_rng(seed)
    normal = system.rows(rng, rows)
    return Known(system, rng, normal, system.model.fit(normal))
