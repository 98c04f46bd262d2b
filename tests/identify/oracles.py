"""Graphs and questions at random, and what judges the verdicts on them."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from hypothesis import strategies as st

from benchmarks.trust.discrete import LETTERS, Discrete, disagreement, latent_pairs
from benchmarks.trust.with_y0 import by_y0
from causalsys.identify.mixed import Mixed

__all__ = ["Discrete", "Question", "by_y0", "cases", "disagreement", "graphs", "latent_pairs"]


@st.composite
def graphs(draw: st.DrawFn, *, largest: int = 6, ties: int = 5, equations: int = 0) -> Mixed:
    """An acyclic directed mixed graph; so many latents at most, and known equations."""
    names = LETTERS[: draw(st.integers(2, largest))]
    pairs = list(itertools.combinations(names, 2))
    directed = [pair for pair in pairs if draw(st.booleans())]
    children = sorted({effect for _, effect in directed})
    some = st.lists(st.sampled_from(children or [""]), unique=True, max_size=equations)
    known = set(draw(some)) if equations and children else set()
    noisy = [pair for pair in pairs if not known.intersection(pair)]
    tied = draw(st.lists(st.sampled_from(noisy or [()]), unique=True, max_size=ties))
    return Mixed.of(names, directed=directed, bidirected=filter(None, tied), known=known)


@dataclass(frozen=True)
class Question:
    """P(outcome | do(do), given)."""

    outcome: tuple[str, ...]
    do: tuple[str, ...]
    given: tuple[str, ...] = ()

    @property
    def parts(self) -> dict[str, tuple[str, ...]]:
        """As arguments."""
        return {"outcome": self.outcome, "do": self.do, "given": self.given}


@st.composite
def cases(
    draw: st.DrawFn,
    *,
    given: int = 0,
    largest: int = 6,
    ties: int = 5,
    equations: int = 0,
) -> tuple[Mixed, Question]:
    """A graph and a question about it; at most so many variables are given."""
    graph = draw(graphs(largest=largest, ties=ties, equations=equations))
    # Most often something early is done and something late asked, or there is no effect.
    nodes = list(graph.nodes) if draw(st.integers(0, 3)) else draw(st.permutations(graph.nodes))
    asked = draw(st.integers(1, min(2, len(nodes) - 1)))
    held = draw(st.integers(1, min(2, len(nodes) - asked)))
    rest = draw(st.permutations(nodes[held : len(nodes) - asked]))
    seen = draw(st.integers(0, min(given, len(rest))))
    return graph, Question(tuple(nodes[-asked:]), tuple(nodes[:held]), tuple(rest[:seen]))
