"""Specifications of mechanisms: what a user writes after `mechanism=`.

These are plain, frozen data. The room `mechanisms` implements them and the room `fit` gives
them parameters, so that a model can be declared, drawn and reasoned about without either.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, ClassVar, Literal

from causalsys.errors import DeclarationError
from causalsys.scm.slope_priors import SlopePriors, slope_priors
from causalsys.scm.supports import Boolean, Categorical, Count, Fraction, Positive, Real, Support

Link = Literal["identity", "log", "logit"]
Noise = Literal["normal", "empirical"]

_LINK_OF: dict[type[Support], Link] = {Real: "identity", Positive: "log", Fraction: "logit"}


def natural_link(support: Support) -> Link:
    """The link that maps a continuous support onto the real line."""
    return _LINK_OF.get(type(support), "identity")


@dataclass(frozen=True)
class MechanismSpec:
    """What family a variable's mechanism is taken from.

    Class attributes:
        produces: The supports that the family can produce.
        latent_parents: Whether it may have a latent parent. Families that are not
            differentiable in their parents may not.
    """

    produces: ClassVar[tuple[type[Support], ...]] = ()
    latent_parents: ClassVar[bool] = True

    def refusal(self, support: Support) -> str | None:
        """Why this family cannot produce `support`, with what to write instead; else None."""
        if type(support) in self.produces:
            return None
        names = ", ".join(kind.__name__ for kind in self.produces)
        return f"{type(self).__name__} produces {names}; leave the mechanism out for cs.auto"


@dataclass(frozen=True)
class _Linked(MechanismSpec):
    """A family that adds noise on the scale of a link."""

    link: Link = "identity"
    noise: Noise = "normal"
    produces = (Real, Positive, Fraction)

    def refusal(self, support: Support) -> str | None:
        refused = super().refusal(support)
        needed = natural_link(support)
        if refused or self.link == needed:
            return refused
        family = type(self).__name__
        return f"{family}(link={self.link!r}) leaves the support; write {family}(link={needed!r})"


@dataclass(frozen=True)
class Linear(_Linked):
    """`link(value) = b + w · parents + s · noise`, the noise standard normal or empirical.

    With the log link, positive parents enter by their logarithm (a power law).

    Attributes:
        memory: As in `SplineFlow`.
        prior: Gaussian priors on the slopes of some parents, each a mean and a deviation in units
            of the value per unit of the parent; a mapping, kept as sorted triples. Other slopes
            stay flat. A slope that the data do not show (a constant parent, collinear ones) then
            keeps its prior's spread in the members. Only for the identity link.
        scale_by: A categorical parent; each of its levels has a noise scale of its own, besides
            the offset that it has anyway.
        by: A categorical parent; each of its levels has a line of its own: the constant, the
            slopes of the other parents and the noise scale.

    Raises:
        DeclarationError: A deviation is not positive, or the link is not the identity; or levels
            are told apart together with a prior, a memory or an empirical noise.

    Example:
        >>> Linear(prior={"payment/latency": (1.0, 0.5)}).prior
        (('payment/latency', 1.0, 0.5),)
        >>> Linear(scale_by="host").level
        'host'
    """

    memory: bool = False
    prior: SlopePriors | Mapping[str, tuple[float, float]] = ()
    scale_by: str | None = None
    by: str | None = None

    @property
    def level(self) -> str | None:
        """The parent whose levels have noise scales (or whole lines) of their own."""
        return self.by or self.scale_by

    def __post_init__(self) -> None:
        object.__setattr__(self, "prior", slope_priors(self.prior))
        mixed = self.memory or self.prior or self.noise != "normal"
        if (self.by and self.scale_by) or (self.level and mixed):
            raise DeclarationError(
                "Linear",
                found=f"by={self.by!r}, scale_by={self.scale_by!r} with noise={self.noise!r}, "
                f"memory={self.memory}, prior={self.prior!r}",
                mend="Give one of by and scale_by, with normal noise and no prior or memory.",
            )
        if self.prior and (self.link != "identity" or self.memory):
            raise DeclarationError(
                "Linear",
                found=f"a prior with link={self.link!r}, memory={self.memory}",
                mend="Leave the prior out: it is for the identity link, without memory.",
            )


@dataclass(frozen=True)
class Quadratic(_Linked):
    """`link(value) = quadratic(parents) + noise`, by least squares: squares and products too.

    With the log link, positive parents enter by their logarithm.
    """

    noise: Noise = "empirical"


@dataclass(frozen=True)
class NeuralAdditive(_Linked):
    """`link(value) = network(parents) + noise`: an additive-noise model.

    Attributes:
        hidden: Widths of the hidden layers.
    """

    noise: Noise = "empirical"
    hidden: tuple[int, ...] = (32, 32)


@dataclass(frozen=True)
class BoostedTrees(_Linked):
    """`link(value) = boosted trees(parents) + noise`, for tabular work.

    Attributes:
        rounds: The most boosting rounds; fewer are kept where validation stops improving.
        learning_rate: Shrinkage of each round.
        leaves: The most leaves of a tree.
    """

    latent_parents = False
    noise: Noise = "empirical"
    rounds: int = 200
    learning_rate: float = 0.1
    leaves: int = 31


@dataclass(frozen=True)
class SplineFlow(MechanismSpec):
    """A conditional monotone spline of one normal noise.

    It is bijective, so unit-level counterfactuals are identified (Nasr-Esfahany, Alizadeh and
    Shah, ICML 2023).

    Attributes:
        bins: Knots of the rational-quadratic spline (Durkan et al., 2019).
        hidden: Widths of the hidden layers of the conditioner.
        memory: Whether the noise of a step resembles that of the step before, as when it is
            the state of a path or of a host. The fit then conditions on it, so that steps
            before and after a change of a parent are compared with each other; needs
            `cs.Traces`.
    """

    bins: int = 8
    hidden: tuple[int, ...] = (32, 32)
    memory: bool = False
    produces = (Real, Positive, Fraction)


@dataclass(frozen=True)
class Monotone(MechanismSpec):
    """For each combination of discrete parents an own monotone map of one normal noise.

    Continuous parents, if any, only shift and stretch; where they bend it too, use `SplineFlow`.
    It is bijective, so unit-level counterfactuals are identified.

    Attributes:
        knots: Bins of each map's rational-quadratic spline (Durkan et al., 2019).
    """

    knots: int = 10
    produces = (Real, Positive, Fraction)

    def __post_init__(self) -> None:
        if isinstance(self.knots, bool) or not isinstance(self.knots, int) or self.knots < 3:
            raise DeclarationError(
                "Monotone", found=f"knots={self.knots!r}", mend="Give at least three knots."
            )


@dataclass(frozen=True)
class Multiplicative(MechanismSpec):
    """`value = Σ_k Π_parents exp f_k(parent) · exp(s · noise)`: low rank, for positive outcomes.

    Attributes:
        rank: How many products are added up.
    """

    rank: int = 1
    produces = (Positive,)


@dataclass(frozen=True)
class LowRank(_Linked):
    """`link(value) = c_a + λ_aᵀ u + s · noise`, in traces: several latents that last.

    `a` is the combination of the categorical parents (which server, which rung), `u` the
    components of all latent parents, which are real and have this one child, and `noise` is new in
    every step. Each component returns to its mean by a share of its own in every step, an AR(1) of
    unit variance. Other parents enter linearly. A latent with one child is otherwise taken for
    that child's noise, of which there is one: this is for systems in which two actions weigh the
    hidden causes differently.

    Attributes:
        latents: Which parents are latents; found when the model is declared.
    """

    link: Link = "log"
    latents: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.noise != "normal":
            raise DeclarationError(
                "LowRank",
                found=f"noise={self.noise!r}",
                mend="Leave it out: its noise is normal, or the latents could not be told from it.",
            )


@dataclass(frozen=True)
class CountRegression(MechanismSpec):
    """A negative binomial with log-linear mean, drawn by inversion of one uniform noise."""

    produces = (Count,)


@dataclass(frozen=True)
class GumbelMax(MechanismSpec):
    """`argmax(logits(parents) + Gumbel noise)` (Oberst and Sontag, ICML 2019).

    Attributes:
        hidden: Widths of the hidden layers of the logits; empty for multinomial regression.
    """

    hidden: tuple[int, ...] = ()
    produces = (Categorical, Boolean)


@dataclass(frozen=True)
class ProbabilityTable(MechanismSpec):
    """A level's frequencies for each combination of parents, which must be categories too."""

    produces = (Categorical, Boolean)


@dataclass(frozen=True)
class Marginal(MechanismSpec):
    """The distribution of a variable without parents, as the data show it."""

    produces = (Real, Positive, Fraction, Count, Categorical, Boolean)


@dataclass(frozen=True)
class StandardNormal(MechanismSpec):
    """The prior of a latent: fixed, since a latent's scale is only known up to a bijection.

    A real latent is standard normal, a positive one log-normal, a fraction logistic-normal.
    """

    produces = (Real, Positive, Fraction)


@dataclass(frozen=True)
class Measurement(_Linked):
    """`link(value) = link(parent) + s · noise`: one parent, read with an error of one size.

    For declared physics: all that is learned is how far the value strays from it.
    """


@dataclass(frozen=True)
class Dynamics(MechanismSpec):
    """A latent that goes on from step to step by a law of its own, which nothing else acts on.

    Attributes:
        between: The least and the largest value of the grid; None finds both from the data.
    """

    between: tuple[float, float] | None = None
    produces = (Real, Positive, Fraction)

    def __post_init__(self) -> None:
        if self.between is not None:
            object.__setattr__(self, "between", grid_values(self, self.between))


@dataclass(frozen=True)
class HiddenMarkov(Dynamics):
    """A latent that is a Markov chain on a few values (Rabiner, 1989; Veritas, NSDI 2024).

    The transition matrix and the law of the first step are learned.

    Attributes:
        between: The least and the largest value to start from, where `levels` are not given.
        states: How many values; they are learned too.
        levels: The values themselves, rising, where they are known.

    Example:
        >>> HiddenMarkov(levels=[0.5, 1, 2, 4]).states
        4
    """

    states: int = 0
    levels: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.levels is not None:
            object.__setattr__(self, "levels", grid_values(self, self.levels))
            object.__setattr__(self, "states", len(self.levels))
        _check_states(self, self.states)


@dataclass(frozen=True)
class AutoRegressive(Dynamics):
    """A latent that returns to its mean: a stationary AR(1) on the support's link.

    A real latent follows `x' = m + persistence · (x - m) + s · noise`, a positive one does by its
    logarithm. It is computed on a grid (Tauchen, 1986); its persistence is learned.

    Attributes:
        states: How many values the grid has.
    """

    states: int = 40

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_states(self, self.states)


@dataclass(frozen=True)
class LastingNormal(Dynamics):
    """The latents of a `LowRank` mechanism: each component a stationary AR(1) of unit variance.

    A model does not name it: latents that such a mechanism has as parents are given it.
    """


def grid_values(spec: MechanismSpec, values: object) -> tuple[float, ...]:
    """At least two rising numbers.

    Raises:
        DeclarationError: They are not.
    """
    found = tuple(values) if isinstance(values, tuple | list | range) else ()
    plain = all(isinstance(v, int | float) and math.isfinite(v) for v in found)
    if len(found) < 2 or not plain or any(a >= b for a, b in pairwise(found)):
        raise DeclarationError(
            type(spec).__name__,
            found=f"the values {values!r}",
            mend="Give at least two rising numbers, such as levels=(0.5, 1, 2, 4).",
        )
    return tuple(map(float, found))


def _check_states(spec: MechanismSpec, states: object) -> None:
    if isinstance(states, bool) or not isinstance(states, int) or states < 2:
        raise DeclarationError(
            type(spec).__name__,
            found=f"states={states!r}",
            mend="Give at least two states, or the levels themselves: levels=(0.5, 1, 2, 4).",
        )


@dataclass(frozen=True)
class Logged(MechanismSpec):
    """What was done is in the log, and how it was chosen is left open: nothing is fitted.

    For a decision that is only ever replaced by another policy. A question that needs the logged
    policy's own answer to something it never saw is refused.
    """

    produces = (Real, Positive, Fraction, Count, Categorical, Boolean)


@dataclass(frozen=True)
class Auto(MechanismSpec):
    """Choose among a few families by held-out likelihood; the reason is kept."""

    produces = (Real, Positive, Fraction, Count, Categorical, Boolean)


@dataclass(frozen=True)
class Custom(MechanismSpec):
    """A mechanism of the user's own: a subclass of `causalsys.mechanisms.Mechanism`.

    Attributes:
        family: The subclass.
        options: What its constructor takes; JSON values only, so that it can be saved.
    """

    family: type[Any] = object
    options: dict[str, Any] = field(default_factory=dict, hash=False)
    produces = (Real, Positive, Fraction, Count, Categorical, Boolean)


auto = Auto()
