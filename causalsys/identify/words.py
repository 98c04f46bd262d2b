"""Assumptions, in words that the engineer of the system can confirm or deny."""

from __future__ import annotations

from collections.abc import Iterable

from causalsys.identify.shapes import Noise, Shapes
from causalsys.identify.verdict import Assumption

_NOISES: dict[Noise, tuple[str, str]] = {
    "monotone": (
        "monotone one-dimensional noise",
        "rows with the same causes differ by one hidden number, and the value rises with it",
    ),
    "count": (
        "monotone count noise",
        "a row keeps its rank among rows with the same causes, so a count is known up to ties",
    ),
    "gumbel": (
        "Gumbel noise",
        "each level has a hidden score with a Gumbel law of its own and the highest wins; other "
        "laws fit as well and give other counterfactuals",
    ),
    "vector": (
        "noise in order",
        "the components follow in their order, each by one hidden number of its own",
    ),
    "unknown": (
        "a noise of the user's own",
        "the custom mechanism's noise is what its author says",
    ),
}


def noises(variables: Iterable[str], shapes: Shapes) -> list[Assumption]:
    """What is assumed of the noise of each variable, those alike together."""
    found: dict[Noise, list[str]] = {}
    for name in sorted(variables):
        found.setdefault(shapes[name].noise, []).append(name)
    return [Assumption(*_NOISES[noise], tuple(names)) for noise, names in sorted(found.items())]


def linear(variables: Iterable[str], shapes: Shapes) -> Assumption:
    """Mechanisms that are linear on their links' scale."""
    names = tuple(sorted(variables))
    by = "as the data chose" if any(shapes[name].chosen for name in names) else "as declared"
    logs = [name for name in names if shapes[name].link == "log"]
    scale = f" (in the logarithm: {', '.join(logs)})" if logs else ""
    return Assumption(
        "linear mechanisms",
        f"each is linear in its causes{scale}, {by}; the graph alone would not do, this shape does",
        names,
        "fitted.check, where a bend or a changing spread shows",
    )


def rank_one(variables: Iterable[str], latents: Iterable[str], shapes: Shapes) -> Assumption:
    """A latent of one variable that acts by a shift or a factor."""
    names = sorted(variables)
    how = "a factor" if all(shapes[name].link == "log" for name in names) else "a shift"
    return Assumption(
        "rank one",
        f"{', '.join(sorted(latents))} acts on {', '.join(names)} by {how} that is the same "
        "whatever the other causes",
        test="fitted.check, where a spread that changes with the causes shows",
    )


def levels(latents: Iterable[str], count: str) -> Assumption:
    """A latent category with a stated number of levels."""
    return Assumption("a stated rank", count, tuple(sorted(latents)), "cs.latent_dimension")


def instrument(name: str, do: str, outcome: str, *, arm: bool) -> Assumption:
    """A variable that moves the outcome by way of the do-variable only."""
    if arm:
        words = f"{name} was assigned at random, and acts on {outcome} only by way of {do}"
        return Assumption("randomised arm", words, test="fitted.check, of what precedes the arm")
    words = f"{name} acts on {outcome} only by way of {do}, and shares no cause with it"
    return Assumption("instrument", words)


def proxies(latent: str, one: str, other: str) -> Assumption:
    """Two proxies of a confounder that are rich enough (Miao, Geng and Tchetgen, 2018)."""
    words = (
        f"{one} and {other} each vary with everything about {latent} that matters, and share "
        "nothing else"
    )
    return Assumption("proxies", words, test="cs.latent_dimension, given more proxies than latents")


def views(latent: str, groups: Iterable[Iterable[str]]) -> Assumption:
    """Three views of a latent (Hu and Schennach, 2008; Allman, Matias and Rhodes, 2009)."""
    told = "; ".join(", ".join(sorted(group)) for group in groups)
    return Assumption(
        "three views",
        f"{told}: given {latent} they are independent, and each tells any two of its values apart",
        test="fitted.check, where they must not depend on each other otherwise",
    )


def lasting(variables: Iterable[str], do: Iterable[str]) -> Assumption:
    """Sequential exogeneity."""
    names = ", ".join(sorted(variables))
    return Assumption(
        "sequential exogeneity",
        f"the noise of {names} lasts from step to step, and {', '.join(sorted(do))} looks at its "
        "past only",
        test="fitted.check",
    )


def anew(latents: Iterable[str]) -> Assumption:
    """Latents of steps that are taken for independent."""
    names = sorted(latents)
    return Assumption(
        "a latent that does not last",
        f"{', '.join(names)} is drawn anew in every step: where it lasts, what looks at the past "
        "tells of it, and the answer is biased",
        test="cs.latent_dimension",
    )


def arms_only(variable: str, arms: Iterable[str], tied: Iterable[str]) -> Assumption:
    """Randomised arms as the only comparison."""
    named = ", ".join(sorted(arms))
    return Assumption(
        "randomised arms",
        f"{named} was assigned at random, and acts on {variable} only by way of "
        f"{', '.join(sorted(tied))}, which sees its noise: whole arms are compared, not steps",
        test="fitted.check, of what precedes the arm",
    )
