"""Random structural causal models of three to six variables, their truth known.

Each is dominated by one mechanism family, and every other one declares a latent. Where the
family may have a latent parent, the latent confounds its own variables; where it may not, or
where inference would only be approximate, it confounds the linear causes of the outcome.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

import causalsys as cs
from benchmarks.trust import families
from benchmarks.trust.families import Maker
from benchmarks.trust.truth import Equation, Truth, World
from causalsys.scm.supports import Categorical, Real

FAMILIES: Mapping[str, Maker] = {
    "Linear": families.linear,
    "Linear, log": families.log,
    "Linear, logit": families.logit,
    "Multiplicative": families.product,
    "NeuralAdditive": families.neural,
    "BoostedTrees": families.trees,
    "SplineFlow": families.spline,
    "CountRegression": families.count,
    "GumbelMax": families.gumbel,
    "ProbabilityTable": partial(families.gumbel, table=True),
    "Marginal": families.linear,
    "auto": families.automatic,
}
_OUTCOME_ONLY = {"Linear, logit", "CountRegression", "GumbelMax", "SplineFlow", "BoostedTrees"}
"""Families that give the outcome alone; its causes are linear."""
_BIJECTIVE = {"Linear", "Linear, log", "Linear, logit", "Multiplicative", "NeuralAdditive"}
_BIJECTIVE |= {"BoostedTrees", "SplineFlow", "Marginal"}
_LOOK = 20_000


@dataclass(frozen=True)
class RandomSCM:
    """A known system, what the model is told of it, and a question.

    Attributes:
        family: The family that dominates it.
        seed: What it was drawn from.
        structure: "plain", or how the latent enters.
        identified: Whether graph and families determine the answer.
        bijective: Whether every noise is determined by the data, there being no latent.
        truth: The system.
        model: Its declaration, latents as latents.
        do: The intervention.
        against: Another level of it, for the average effect.
        outcome: What is asked for.
    """

    family: str
    seed: int
    structure: str
    identified: bool
    bijective: bool
    truth: Truth
    model: type[cs.SCM]
    do: World
    against: World
    outcome: str


def random_scm(seed: int) -> RandomSCM:
    """The system of a seed; families take turns, and so do models with and without latents."""
    family = list(FAMILIES)[seed % len(FAMILIES)]
    turn = seed // len(FAMILIES)
    random = np.random.default_rng(seed)
    structures = _latent_structures(family)
    structure = "plain" if turn % 2 == 0 else structures[turn // 2 % len(structures)]
    equations, cause, outcome = _BUILD[structure](family, random)
    truth = Truth(equations)
    seen = truth.values(truth.noises(_LOOK, seed=seed))[cause]
    if isinstance(equations[cause].support, Categorical):
        low, high = 0.0, float(equations[cause].support.cardinality - 1)
    else:
        low, high = (float(v) for v in np.quantile(seen, random.uniform([0.2, 0.6], [0.4, 0.8])))
    plain = structure == "plain"
    title = f"Random{seed}"
    return RandomSCM(
        family,
        seed,
        structure,
        not structure.startswith("bow"),
        plain and family in _BIJECTIVE,
        truth,
        truth.model(title),
        {cause: high},
        {cause: low},
        outcome,
    )


_Built = tuple[dict[str, Equation], str, str]


def _latent_structures(family: str) -> tuple[str, ...]:
    if family in ("Linear", "Linear, log", "Multiplicative"):
        return ("proxies", "instrument", "bow", "frontdoor", "behind")
    if family == "ProbabilityTable":
        return ("views", "bow of categories")
    return ("behind", "behind", "bow before")


def _root(family: str, random: np.random.Generator) -> Equation:
    if family == "Marginal":
        return families.skewed(random)
    if family in ("Linear, log", "Multiplicative"):
        return families.positive_root(random)
    return families.category(random) if family == "ProbabilityTable" else families.root(random)


def _middle(family: str) -> Maker:
    """The family of causes that are no roots."""
    if family == "GumbelMax":
        return partial(families.gumbel, levels=3)
    return families.linear if family in _OUTCOME_ONLY | {"auto"} else FAMILIES[family]


def _plain(family: str, random: np.random.Generator) -> _Built:
    """Any graph without latents in which the cause reaches the outcome."""
    costly = family in ("NeuralAdditive", "auto")
    count = int(random.integers(3, 5 if costly else 7))
    roots = 1 + int(count > 3 and random.random() < 0.5)
    equations: dict[str, Equation] = {}
    cause = f"x{int(random.integers(0, count - 2))}"
    below = {cause}
    for index in range(count):
        name = f"x{index}"
        if index < roots:
            equations[name] = _root(family, random)
            continue
        several = min(index, int(random.integers(1, 4)))
        parents = {f"x{int(k)}" for k in random.permutation(index)[:several]}
        if index > int(cause[1:]) and not parents & below and index >= count - 2:
            parents.add(max(below))
        if parents & below:
            below.add(name)
        last = index == count - 1
        maker = FAMILIES[family] if last else _middle(family)
        equations[name] = _made(maker, sorted(parents), equations, random)
    return equations, cause, f"x{count - 1}"


def _made(
    maker: Maker, parents: list[str], so_far: Mapping[str, Equation], random: np.random.Generator
) -> Equation:
    return maker({name: so_far[name].support for name in parents}, random)


def _hidden() -> Equation:
    return Equation((), Real(), lambda e, _: e, latent=True)


def _confounded(
    *names: tuple[str, tuple[str, ...]], cause: str = "x", outcome: str = "y"
) -> Callable[[str, np.random.Generator], _Built]:
    """A structure over a family that may have a latent parent: (variable, parents) in order."""

    def built(family: str, random: np.random.Generator) -> _Built:
        equations = {"u": _hidden()}
        for name, parents in names:
            equations[name] = (
                _made(FAMILIES[family], list(parents), equations, random)
                if parents
                else _root(family, random)
            )
        return equations, cause, outcome

    return built


def _before(*, bow: bool) -> Callable[[str, np.random.Generator], _Built]:
    """A latent among the linear causes; the outcome, of the family, sees observed ones only."""

    def built(family: str, random: np.random.Generator) -> _Built:
        equations = {"u": _hidden()}
        first = families.product if family == "Multiplicative" else families.linear
        if family == "Linear, log":
            first = families.log
        if family == "Marginal":
            equations["r"] = families.skewed(random)
        elif family == "GumbelMax":
            equations["r"] = families.category(random)
        else:
            equations["r"] = families.root(random)
        if bow:
            equations["x"] = _made(first, ["u"], equations, random)
            equations["z"] = _made(first, ["u", "x"], equations, random)
            equations["y"] = _made(FAMILIES[family], ["z", "r"], equations, random)
        else:
            equations["z"] = _made(first, ["u"], equations, random)
            equations["x"] = _made(first, ["u", "r"], equations, random)
            equations["y"] = _made(FAMILIES[family], ["x", "z"], equations, random)
        return equations, "x", "y"

    return built


def _classes(*, bow: bool) -> Callable[[str, np.random.Generator], _Built]:
    """A latent class: its effect on cause and outcome, with or without views of it."""

    def built(family: str, random: np.random.Generator) -> _Built:
        maker = partial(families.gumbel, table=True)
        share = random.uniform(0.35, 0.65)
        equations = {
            "h": Equation(
                (),
                cs.Boolean(),
                lambda e, _: (np.log([1 - share, share]) + e).argmax(-1).astype(float),
                latent=True,
            )
        }
        for name in () if bow else ("p", "q", "s"):
            equations[name] = _view(random)
        equations["x"] = _made(maker, ["h"], equations, random)
        equations["y"] = _made(maker, ["h", "x"], equations, random)
        return equations, "x", "y"

    return built


def _view(random: np.random.Generator) -> Equation:
    """A test of the class, better than chance by far."""
    odds = np.array([-1, 1]) * random.uniform(1.0, 2.0, size=2)

    def value(e: np.ndarray, p: Mapping[str, np.ndarray]) -> np.ndarray:
        logit = odds[p["h"].astype(int)]
        return (np.stack([np.zeros_like(logit), logit], -1) + e).argmax(-1).astype(float)

    return Equation(("h",), cs.Boolean(), value, cs.ProbabilityTable())


_BUILD: Mapping[str, Callable[[str, np.random.Generator], _Built]] = {
    "plain": _plain,
    "proxies": _confounded(("v", ("u",)), ("w", ("u",)), ("x", ("u",)), ("y", ("u", "x"))),
    "instrument": _confounded(("z", ()), ("x", ("u", "z")), ("y", ("u", "x"))),
    "frontdoor": _confounded(("x", ("u",)), ("m", ("x",)), ("y", ("u", "m"))),
    "bow": _confounded(("x", ("u",)), ("y", ("u", "x"))),
    "behind": _before(bow=False),
    "bow before": _before(bow=True),
    "views": _classes(bow=False),
    "bow of categories": _classes(bow=True),
}
