"""What the field would name as the reason: an instrument, two proxies, three views.

Each is a pattern in the graph that identifies something once mechanisms meet a condition that no
graph can state: a shape of the effect for an instrument, richness for proxies and views.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import chain, combinations

from causalsys.identify.mixed import Mixed, Names
from causalsys.scm.frozen import FrozenDict
from causalsys.scm.order import causal_order, parts, reached

_MANY = 12
"""With more candidates than this, sets of two and three are not searched one by one."""


def instrument(graph: Mixed, *, do: str, outcome: str) -> tuple[str, tuple[str, ...]] | None:
    """An instrument for the effect of one variable on another, and what it must be given.

    It moves `do`, and reaches `outcome` in no other way. Fewest conditions first, ties by name.

    Example:
        >>> graph = Mixed.of("zxy", directed=["zx", "xy"], bidirected=["xy"])
        >>> instrument(graph, do="x", outcome="y")
        ('z', ())

    Source: C. Brito and J. Pearl, Generalized instrumental variables, UAI 2002, section 2;
    B. van der Zander, J. Textor and M. Liskiewicz, Efficiently finding conditional instruments,
    IJCAI 2015.
    """
    cut = graph.without_out_of([do])
    usable = frozenset(graph.nodes) - graph.descendants([do, outcome])
    for conditions in _conditions(graph, usable, do=do, outcome=outcome):
        for name in sorted(usable - set(conditions)):
            apart = cut.m_separated([name], [outcome], given=conditions)
            if apart and not graph.m_separated([name], [do], given=conditions):
                return name, conditions
    for name in sorted(usable):
        near = cut.ancestors([name, outcome]) & usable - {name}
        if cut.m_separated([name], [outcome], given=near):
            conditions = _fewest(cut, name, outcome, near)
            if not graph.m_separated([name], [do], given=conditions):
                return name, conditions
    return None


def proxies(
    parents: Mapping[str, Names],
    *,
    latents: Names,
    do: str,
    outcome: str,
    rich: Callable[[str, str], bool] = lambda proxy, latent: True,
) -> tuple[str, str, str] | None:
    """A latent that confounds an effect, its proxy beside the treatment, and the outcome's.

    Given the latent, the first proxy tells nothing of the outcome beyond `do`, and the second
    nothing of `do` and the first. What else is observed and precedes `do` may be adjusted for.

    Args:
        parents: Each variable's causes, latents among them.
        latents: Those that are not observed.
        do: The treatment.
        outcome: The outcome.
        rich: Whether a proxy has room for all values of a latent.

    Example:
        >>> u = frozenset("u")
        >>> parents = {"u": frozenset(), "z": u, "w": u, "x": u, "y": u | {"x"}}
        >>> proxies(parents, latents=u, do="x", outcome="y")
        ('u', 'w', 'z')

    Source: W. Miao, Z. Geng and E. Tchetgen Tchetgen, Identifying causal effects with proxy
    variables of an unmeasured confounder, Biometrika 105 (2018).
    """
    graph = _explicit(parents)
    cut = graph.without_out_of([do])
    seen = frozenset(parents) - latents - {do, outcome}
    before = seen & graph.ancestors([do, outcome]) - graph.descendants([do])
    for latent in sorted(latents & graph.ancestors([do]) & graph.ancestors([outcome])):
        able = sorted(name for name in seen if rich(name, latent))
        for one in able:
            for other in (name for name in able if name != one):
                for rest in dict.fromkeys([frozenset[str](), before - {one, other}]):
                    given = rest | {latent}
                    if (
                        cut.m_separated([do], [outcome], given=given)
                        and graph.m_separated([one], [outcome], given=given | {do})
                        and graph.m_separated([other], [do, one], given=given)
                        and not graph.m_separated([one], [latent], given=rest | {do})
                        and not graph.m_separated([other], [latent], given=rest)
                    ):
                        return latent, one, other
    return None


def views(
    parents: Mapping[str, Names],
    *,
    latents: Names,
    latent: str,
    room: Callable[[Names], float] = lambda names: 0,
) -> tuple[tuple[str, ...], ...] | None:
    """Three groups of observed variables, independent given a latent, that each tell of it.

    What is observed and not an effect of the latent may be adjusted for.

    Args:
        parents: Each variable's causes, latents among them.
        latents: Those that are not observed.
        latent: The one in question.
        room: How many values some variables have together; those with most are dealt out first.

    Example:
        >>> u = frozenset("u")
        >>> parents = {"u": frozenset(), "p": u, "q": u, "r": u, "s": u | {"r"}}
        >>> views(parents, latents=u, latent="u")
        (('p',), ('q',), ('r', 's'))

    Source: Y. Hu and S. Schennach, Instrumental variable treatment of nonclassical measurement
    error models, Econometrica 76 (2008); E. Allman, C. Matias and J. Rhodes, Identifiability of
    parameters in latent structure models with many observed variables, Annals of Statistics 37
    (2009).
    """
    graph = _explicit(parents)
    seen = frozenset(parents) - latents
    hidden = {name: graph.children[name] if name in latents else () for name in parents}
    beside = (reached([latent], hidden) | parents[latent]) & seen
    if len(beside) < 3:
        return None
    for given in (frozenset[str](), seen - graph.descendants([latent])):
        telling = sorted(seen & graph.connected(latent, given=given))
        tied = [
            (name, other)
            for name in telling
            for other in graph.connected(name, given=given | {latent}).intersection(telling)
        ]
        groups = sorted(parts(telling, tied), key=lambda group: -room(frozenset(group)))
        if len(groups) >= 3:
            return tuple(tuple(sorted(chain(*groups[i::3]))) for i in range(3))
    return None


def _conditions(graph: Mixed, usable: Names, *, do: str, outcome: str) -> Iterator[tuple[str, ...]]:
    """Sets to condition on, small ones first, then by name; not all where there are many."""
    near = sorted(usable & graph.ancestors([do, outcome]))
    for size in range(4 if len(near) <= _MANY else 2):
        yield from combinations(near, size)


def _fewest(cut: Mixed, name: str, outcome: str, given: Names) -> tuple[str, ...]:
    """Conditions without those that are not needed, one after the other."""
    for each in sorted(given):
        if cut.m_separated([name], [outcome], given=given - {each}):
            given = given - {each}
    return tuple(sorted(given))


def _explicit(parents: Mapping[str, Names]) -> Mixed:
    """A graph that shows its latents as variables."""
    order = causal_order(parents)
    assert order is not None
    return Mixed(tuple(order), parents, FrozenDict(dict.fromkeys(order, frozenset[str]())))
