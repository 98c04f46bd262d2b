"""Sharp bounds on what is asked of a system of categories, by linear programs.

A district's latents may be anything; all that matters of them is the distribution over response
types (`responses.py`). What is seen and what is asked are linear in it, so the least and the most
that any model of the graph gives are linear programs (Balke and Pearl, 1997).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np

from causalsys.identify.mixed import Mixed
from causalsys.identify.observed import Observed
from causalsys.identify.responses import Array
from causalsys.identify.tasks import Bounds, Task
from causalsys.identify.unfold import Event
from causalsys.identify.unknowns import NotLinearError, Term, TooLargeError

_MEMBERS = 8


def chance(*events: Event) -> tuple[Term, ...]:
    """The probability that all of these come about, as something to ask."""
    return ((1.0, events),)


def bounds(
    graph: Mixed,
    cards: Mapping[str, int],
    joint: Array,
    *,
    asked: Sequence[Term],
    given: Sequence[Event] = (),
    shared: Iterable[Collection[str]] = (),
    rising: Iterable[Sequence[str]] = (),
    relax: bool = False,
) -> Bounds:
    """Bounds on a weighted sum of probabilities of counterfactual events.

    Args:
        graph: A graph of categories, its latents projected out.
        cards: How many levels each variable has.
        joint: What is observed: probabilities, one axis for each of `graph.nodes`.
        asked: What is asked, for example `chance(Event("y", 1, do={"x": 1}))`.
        given: What is known of the row; nearly always of the world as it is.
        shared: Sets of variables that one latent acts on. A district of three or more is known to
            attain its bounds only if one of these holds it.
        rising: Pairs (cause, effect): the effect's level never falls as the cause's rises.
        relax: Where unknowns multiply, let their districts share a latent: bounds stay valid.

    Returns:
        The bounds. They are one number where what is asked is identified.

    Raises:
        NotLinearError: Unknowns of several districts multiply, and `relax` is not set.
        TooLargeError: The program would have more than 200,000 response types.
        EvidenceError: What is given has probability 0.

    Example:
        >>> bow = Mixed.of("xy", directed=["xy"], bidirected=["xy"])
        >>> joint = np.array([[0.3, 0.2], [0.1, 0.4]])
        >>> asked = chance(Event("y", 1, do={"x": 1}))
        >>> bounds(bow, {"x": 2, "y": 2}, joint, asked=asked)
        Bounds(low=0.4, high=0.9, misfit=0.0, sharp=True)

    Source: A. Balke and J. Pearl, Bounds on treatment effects from studies with imperfect
    compliance, JASA 92 (1997); J. Tian and J. Pearl, Probabilities of causation: bounds and
    identification, AMAI 28 (2000); M. Sachs et al., A general method for deriving tight symbolic
    bounds on causal effects, JCGS 32 (2022); G. Duarte et al., An automated approach to causal
    inference in discrete settings, JASA 119 (2024).
    """
    seen = Observed(graph, cards, np.asarray(joint, float))
    task = Task(seen, graph.districts(), tuple(map(frozenset, shared)), tuple(map(tuple, rising)))
    while True:
        try:
            return task.solve(asked, given)
        except NotLinearError as error:
            if not relax or len(error.districts) < 2:
                raise
            task = task.merged(error.districts)
        except TooLargeError:
            smaller = task.smaller([*given, *(event for _, events in asked for event in events)])
            if smaller is None:
                raise
            task = smaller


def member_bounds(
    graph: Mixed,
    cards: Mapping[str, int],
    joint: Array,
    *,
    asked: Sequence[Term],
    given: Sequence[Event] = (),
    shared: Iterable[Collection[str]] = (),
    rising: Iterable[Sequence[str]] = (),
    relax: bool = False,
) -> tuple[Bounds, ...]:
    """`bounds` for each member of an ensemble, of which at most eight, spread evenly, are used.

    Args:
        graph: As for `bounds`.
        cards: As for `bounds`.
        joint: One table for each member: `[member, ...]`.
        asked: As for `bounds`.
        given: As for `bounds`.
        shared: As for `bounds`.
        rising: As for `bounds`.
        relax: As for `bounds`.
    """
    shared, rising = tuple(shared), tuple(rising)
    used = np.linspace(0, len(joint) - 1, min(len(joint), _MEMBERS)).astype(int)
    return tuple(
        bounds(
            graph,
            cards,
            joint[member],
            asked=asked,
            given=given,
            shared=shared,
            rising=rising,
            relax=relax,
        )
        for member in used
    )
