"""A shift: a named change of exogenous parts of a model, under which predictors are compared."""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from numbers import Real
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from causalsys.data.levels import written
from causalsys.data.table import Layout
from causalsys.detect.loss import real_numbers
from causalsys.errors import InterventionError, UnknownNameError
from causalsys.fit.fitted import Fitted
from causalsys.mechanisms.base import Mechanism, Parents
from causalsys.query.ask import world_of
from causalsys.query.world import Rows, Unfolding
from causalsys.scm.declaration import Node
from causalsys.scm.frozen import FrozenDict
from causalsys.scm.supports import Categorical, Level, Support

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Shift:
    """A named change of the causes of a target, the target's own mechanism staying as it is.

    Args:
        name: What it is called in tables.
        do: By variable, latents too, what its mechanism is replaced by: all that `do` takes (a
            value, a function of named variables, a torch distribution), or probabilities by level
            of a category, which need not sum to 1.
        noises: By variable, (shift, scale): its noise `z`, standard normal by default, becomes
            `shift + scale · z`, its mechanism staying.

    Example:
        >>> Shift("more slow hosts", {"host": {"slow": 0.6, "fast": 0.4}}).name
        'more slow hosts'
    """

    name: str
    do: Mapping[str, Any] = field(default_factory=FrozenDict)
    noises: Mapping[str, tuple[float, float]] = field(default_factory=FrozenDict)

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise InterventionError(
                "shift", found=f"the name {self.name!r}", mend="Give it a word as a name."
            )
        for part in (self.do, self.noises):
            if not isinstance(part, Mapping):
                raise InterventionError(
                    self.name,
                    found=f"a {type(part).__name__} instead of what changes",
                    mend='Give a mapping: cs.Shift("more load", {"load": ...}).',
                )
        for name, pair in self.noises.items():
            _check_noise(name, pair)
        object.__setattr__(self, "do", FrozenDict(self.do))
        object.__setattr__(self, "noises", FrozenDict(self.noises))
        if not self.do and not self.noises:
            raise InterventionError(
                self.name,
                found="a shift of nothing",
                mend='Say what changes: cs.Shift("more load", {"load": ...}).',
            )

    @classmethod
    def noise(cls, name: str, *, shift: float = 0.0, scale: float = 1.0) -> Shift:
        """A shift of one variable's noise, in its standard deviations.

        Args:
            name: The variable.
            shift: How far its noise moves.
            scale: By what it is multiplied.

        Example:
            >>> Shift.noise("load", shift=1.0).name
            'noise of load: +1 sd'
        """
        _check_noise(name, (shift, scale))
        moved = f" {shift:+g} sd" if shift else ""
        stretched = f" times {scale:g}" if scale != 1 else ""
        told = f"noise of {name}:{moved}{stretched}"
        return cls(told, noises={name: (float(shift), float(scale))})

    def drawn(self, fitted: Fitted, rows: int, *, seed: int, target: str) -> pd.DataFrame:
        """Rows of the model under the shift, with the target; latents are left out.

        Raises:
            UnknownNameError: A variable is not in the model.
            InterventionError: It cannot be shifted in this way.
        """
        model = self._moved(fitted, target)
        do = {
            name: _law(given, name, model.schema.supports[model.node(name).name])
            for name, given in self.do.items()
        }
        return draw(model, rows, do=do, seed=seed)

    def _moved(self, fitted: Fitted, target: str) -> Fitted:
        """The model with the noises moved."""
        mechanisms = dict(fitted.mechanisms)
        for name in (*self.do, *self.noises):
            if fitted.node(name).name == target:
                raise InterventionError(
                    target,
                    found="a shift of the target's own mechanism",
                    mend="Shift its causes: under a changed mechanism no model of before holds.",
                )
        for name, (shift, scale) in self.noises.items():
            mechanism = fitted.mechanism(name)
            if mechanism.noise != "normal":
                raise InterventionError(
                    name,
                    found="a category, whose noise has no scale",
                    mend="Give probabilities by level: cs.Shift(name, {variable: {level: p}}).",
                )
            mechanisms[name] = Moved.of(mechanism, shift, scale)
        return replace(fitted, mechanisms=mechanisms)


def _check_noise(name: str, pair: object) -> None:
    """Refuse what is no shift and scale of a noise."""
    two = isinstance(pair, tuple | list) and len(pair) == 2
    numbers = two and all(isinstance(x, Real) and math.isfinite(x) for x in pair)  # type: ignore[attr-defined]
    if not numbers or pair[1] < 0:  # type: ignore[index]
        raise InterventionError(
            str(name),
            found=f"the shift and scale {pair!r} of its noise",
            mend="Give two finite numbers, the scale not negative.",
        )


def draw(fitted: Fitted, rows: int, *, do: Mapping[str, Any], seed: int) -> pd.DataFrame:
    """Rows of the model as a frame of its logged columns, categories by their levels."""
    import pandas as pd

    values = drawn(fitted, rows, do=do, seed=seed)
    columns: dict[str, Any] = {}
    for name in fitted.declaration.graph.observed:
        if name not in values:
            continue
        support = fitted.schema.supports[name]
        size = support.size or 1
        value = values[name].numpy()
        if isinstance(support, Categorical):
            value = written(value, support)
        for i in range(size):
            label = f"{name}_{i}" if support.size else name
            columns[label] = value[:, i] if support.size else value
    return pd.DataFrame(columns).infer_objects()


def drawn(fitted: Fitted, rows: int, *, do: Mapping[str, Any], seed: int) -> dict[str, Tensor]:
    """Rows of the model, latents too, `[row]`, by the best estimate of its parameters.

    No verdict is asked for: that a latent has another law is a supposition about the model, which
    nobody could check by doing it. What comes out holds for the model as fitted.
    """
    import pandas as pd

    best = torch.zeros(1, dtype=torch.int64)
    mechanisms = {name: m.members(best) for name, m in fitted.mechanisms.items()}
    noises: dict[str, Tensor] = {}

    def noise_of(node: Node, at: Rows) -> Tensor:
        if node.name not in noises:
            generator = torch.Generator().manual_seed(zlib.crc32(f"{seed}/{node.name}".encode()))
            noises[node.name] = mechanisms[node.name].draw_noise((1, rows), generator=generator)
        return noises[node.name][:, at]

    plan = Unfolding(fitted.schema, mechanisms, noise_of, {}, Layout.single(rows), 1, seed)
    world = world_of(do, fitted, plan, index=pd.RangeIndex(rows))
    return {
        name: value[0, 0].expand(rows, *value.shape[3:])
        for name, value in plan.predict([world]).items()
    }


def _law(given: Any, name: str, support: Support) -> Any:
    """Probabilities by level as the distribution of the levels' codes."""
    if not isinstance(given, Mapping):
        return given
    levels: tuple[Level, ...] = (support.levels or ()) if isinstance(support, Categorical) else ()
    if not levels:
        raise InterventionError(
            name, found="probabilities by level of a number", mend="Give a torch distribution."
        )
    for level in given:
        if level not in levels:
            raise UnknownNameError.among(level, map(str, levels), where=f"the levels of {name}")
    chances = real_numbers([given.get(level, 0.0) for level in levels])
    weight = torch.full((1,), math.nan) if chances is None else torch.from_numpy(chances)
    if not bool(torch.isfinite(weight).all()) or float(weight.min()) < 0 or not float(weight.sum()):
        raise InterventionError(
            name, found=repr(dict(given)), mend="Give probabilities, at least one above 0."
        )
    return torch.distributions.Categorical(probs=weight)


@dataclass(frozen=True)
class Moved(Mechanism):
    """A mechanism whose noise is moved and stretched before it is used.

    Attributes:
        inner: The mechanism itself.
        shift: How far the noise moves.
        stretch: By what it is multiplied.
    """

    inner: Mechanism | None = None
    shift: float = 0.0
    stretch: float = 1.0

    @classmethod
    def of(cls, inner: Mechanism, shift: float, stretch: float) -> Moved:
        """The mechanism `inner` with another law of its noise."""
        return cls(
            inner.spec,
            inner.support,
            inner.parents,
            inner.state,
            inner.notes,
            inner,
            shift,
            stretch,
        )

    @property
    def noise_shape(self) -> tuple[int, ...]:
        return self._inner.noise_shape

    def start(self, sample: Any, *, generator: torch.Generator) -> Moved:
        raise InterventionError(
            "shift", found="a shifted mechanism to fit", mend="Fit the model without the shift."
        )

    def log_prob(self, value: Tensor, parents: Parents) -> Tensor:
        raise InterventionError(
            "shift", found="a likelihood under a shift", mend="Draw rows under it instead."
        )

    def pull(
        self, value: Tensor, parents: Parents, *, generator: torch.Generator | None = None
    ) -> Tensor:
        return self._inner.pull(value, parents, generator=generator)

    def push(self, noise: Tensor, parents: Parents) -> Tensor:
        return self._inner.push(noise, parents)

    def draw_noise(self, shape: tuple[int, ...], *, generator: torch.Generator) -> Tensor:
        return self.shift + self.stretch * self._inner.draw_noise(shape, generator=generator)

    def members(self, index: Tensor) -> Moved:
        return Moved.of(self._inner.members(index), self.shift, self.stretch)

    @property
    def _inner(self) -> Mechanism:
        assert self.inner is not None
        return self.inner


__all__ = ["Moved", "Shift", "draw", "drawn"]
