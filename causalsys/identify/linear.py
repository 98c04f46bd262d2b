"""What a linear district with normal latents tells: coefficients, kernels and effects.

A district `V = W V + W' C + L U + E`, with outside causes `C`, standard normal latents `U` and
independent noises `E`, shows the world its reduced form: how `V` answers when `C` is set,
`(I - W)⁻¹ W'`, and the covariance of what is left, `(I - W)⁻¹ (L L' + D) (I - W)⁻ᵀ`. Normal laws
have nothing else to show. What these two settle is decided by rank (`rank.py`), which is generic
and local: it may leave several isolated values, for example two.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from causalsys.identify.rank import Array, determined
from causalsys.scm.frozen import FrozenDict

Names = frozenset[str]
_POINTS = 4


@dataclass(frozen=True)
class LinearBlock:
    """A district in which every mechanism is linear and every latent standard normal.

    Attributes:
        variables: The district's variables, in causal order.
        inside: Each variable's causes among `variables`.
        outside: Each variable's other observed causes, which count as set from outside.
        loadings: The dimensions of latents that act on each variable, for example "u[0]".

    Example:
        >>> cause, latent = frozenset({"x"}), frozenset({"u"})
        >>> bow = LinearBlock(("x", "y"), {"y": cause}, {}, {"x": latent, "y": latent})
        >>> sorted(coefficients(bow))
        []
        >>> helped = LinearBlock(
        ...     ("x", "y"), {"y": cause}, {"x": frozenset({"z"})}, {"x": latent, "y": latent}
        ... )
        >>> sorted(coefficients(helped))
        [('x', 'y'), ('z', 'x')]
    """

    variables: tuple[str, ...]
    inside: Mapping[str, Names] = field(default_factory=FrozenDict)
    outside: Mapping[str, Names] = field(default_factory=FrozenDict)
    loadings: Mapping[str, Names] = field(default_factory=FrozenDict)

    @cached_property
    def causes(self) -> tuple[str, ...]:
        """The outside causes, sorted by name."""
        return tuple(sorted(frozenset[str]().union(*self.outside.values())))

    @cached_property
    def arrows(self) -> tuple[tuple[str, str], ...]:
        """All (cause, effect), in order of effects, then causes."""
        return tuple(
            (cause, effect)
            for effect in self.variables
            for causes in (self.inside, self.outside)
            for cause in sorted(causes.get(effect, ()))
        )


def coefficients(block: LinearBlock) -> frozenset[tuple[str, str]]:
    """The coefficients, as (cause, effect), that the reduced form determines."""
    settled = _settled(block, lambda system: system.weights())
    return frozenset(a for a, known in zip(block.arrows, settled, strict=True) if known)


def structure(block: LinearBlock, part: Names) -> bool:
    """Whether the mechanisms of `part` are determined, as counterfactuals of it need.

    That is, all coefficients of its variables, and the covariance of their disturbances.
    """
    rows = [i for i, name in enumerate(block.variables) if name in part]
    mine = [i for i, (_, effect) in enumerate(block.arrows) if effect in part]
    return _all(
        block,
        lambda system: _flat(system.weights()[:, mine], system.disturbances()[:, rows][:, :, rows]),
    )


def shares(block: LinearBlock, part: Names) -> bool:
    """Whether it is determined how disturbances split into latents and own noise.

    That is, the variance of each own noise of `part`, and so what its latents contribute.
    """
    rows = [i for i, name in enumerate(block.variables) if name in part]
    return _all(block, lambda system: system.variance[:, rows])


def kernel(block: LinearBlock, part: Names) -> bool:
    """Whether `Q[part]`, the law of `part` when all else is set, is determined."""
    return law(block, do=frozenset(block.variables) - part, outcomes=part)


def law(block: LinearBlock, *, do: Names, outcomes: Names) -> bool:
    """Whether the joint law of `outcomes`, all in the block, is determined when `do` is set.

    Outside causes are set as well, so that this is a function of them too.
    """
    rows = [i for i, name in enumerate(block.variables) if name in outcomes - do]
    columns = sorted(do.intersection(block.variables))

    def quantities(system: _System) -> Array:
        reduced = system.cut(do)
        spread = reduced.spread()[:, rows][:, :, rows]
        return _flat(reduced.responses()[:, rows], reduced.effects(columns)[:, rows], spread)

    return _all(block, quantities)


def total(block: LinearBlock, *, do: Names, outcome: str) -> bool:
    """Whether the effects on `outcome`, in the block, of setting `do` are determined.

    Args:
        block: The district.
        do: Variables inside or outside, set together.
        outcome: A variable of the block.
    """
    row = block.variables.index(outcome)
    return _all(block, lambda system: system.cut(do).effects(sorted(do))[:, row])


@dataclass(frozen=True)
class _System:
    """A block with numbers: matrices `[point, effect, cause]`, variances `[point, variable]`."""

    block: LinearBlock
    weight: Array
    out: Array
    loading: Array
    variance: Array

    @classmethod
    def of(cls, block: LinearBlock, points: Array) -> _System:
        """Fill the places of a block with the numbers of points, in order."""
        filled, start = [], 0
        for shape, where in _places(block):
            matrix = np.zeros((len(points), *shape), points.dtype)
            for row, column in where:
                matrix[:, row, column] = points[:, start]
                start += 1
            filled.append(matrix)
        weight, out, loading, deviation = filled
        return cls(block, weight, out, loading, deviation[:, 0] ** 2)

    def weights(self) -> Array:
        """The coefficients in the order of `arrows`, `[point, arrow]`."""
        at, column = _index(self.block.variables), _index(self.block.causes)
        found = [
            self.weight[:, at[effect], at[cause]]
            if cause in at
            else self.out[:, at[effect], column[cause]]
            for cause, effect in self.block.arrows
        ]
        return np.stack(found, -1) if found else self.weight[:, 0, :0]

    def disturbances(self) -> Array:
        """The covariance of what is added to each variable."""
        own = self.variance[..., None] * np.eye(len(self.block.variables))
        return self.loading @ self.loading.swapaxes(1, 2) + own

    def left(self) -> Array:
        """`(I - W)⁻¹`."""
        return np.linalg.inv(np.eye(len(self.block.variables)) - self.weight)

    def responses(self) -> Array:
        """How the variables answer when outside causes are set, `[point, variable, cause]`."""
        return self.left() @ self.out

    def spread(self) -> Array:
        """The covariance of the variables when outside causes are set."""
        left = self.left()
        return left @ self.disturbances() @ left.swapaxes(1, 2)

    def cut(self, do: Collection[str]) -> _System:
        """The system in which nothing acts on the variables of `do`."""
        kept = np.array([float(name not in do) for name in self.block.variables])
        weight, out, loading = (m * kept[:, None] for m in (self.weight, self.out, self.loading))
        return _System(self.block, weight, out, loading, self.variance * kept)

    def effects(self, names: Sequence[str]) -> Array:
        """What a unit of each of `names` adds to each variable, `[point, variable, name]`."""
        inside, outside = self.left(), self.responses()
        at, column = _index(self.block.variables), _index(self.block.causes)
        found = [
            inside[..., at[name]]
            if name in at
            else outside[..., column[name]]
            if name in column
            else np.zeros_like(inside[..., 0])
            for name in names
        ]
        return np.stack(found, -1) if found else inside[..., :0]


def _places(block: LinearBlock) -> list[tuple[tuple[int, int], list[tuple[int, int]]]]:
    """The shape of each matrix and where it has parameters."""
    latents = sorted(frozenset[str]().union(*block.loadings.values()))
    at, size = _index(block.variables), len(block.variables)

    def cells(links: Mapping[str, Names], columns: Sequence[str]) -> list[tuple[int, int]]:
        where = _index(columns)
        return [
            (at[effect], where[cause])
            for effect in block.variables
            for cause in sorted(links.get(effect, ()))
        ]

    return [
        ((size, size), cells(block.inside, block.variables)),
        ((size, len(block.causes)), cells(block.outside, block.causes)),
        ((size, len(latents)), cells(block.loadings, latents)),
        ((1, size), [(0, i) for i in range(size)]),
    ]


def _index(names: Sequence[str]) -> dict[str, int]:
    return {name: i for i, name in enumerate(names)}


def _flat(*parts: Array) -> Array:
    return np.concatenate([part.reshape(len(part), -1) for part in parts], -1)


def _moments(system: _System) -> Array:
    rows, columns = np.tril_indices(len(system.block.variables))
    return _flat(system.responses(), system.spread()[:, rows, columns])


def _all(block: LinearBlock, quantities: Callable[[_System], Array]) -> bool:
    return bool(_settled(block, quantities).all())


def _settled(block: LinearBlock, quantities: Callable[[_System], Array]) -> Array:
    width = sum(len(where) for _, where in _places(block))
    generator = np.random.default_rng(0)
    sizes, signs = generator.uniform(0.5, 1.5, (_POINTS, width)), generator.random((_POINTS, width))
    return determined(
        lambda points: _moments(_System.of(block, points)),
        lambda points: quantities(_System.of(block, points)),
        points=np.where(signs < 0.5, -sizes, sizes),
    )
