"""One question to a linear program, or to one for each district in question."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod

import numpy as np

from causalsys.errors import EvidenceError
from causalsys.identify.mixed import Names
from causalsys.identify.observed import Observed
from causalsys.identify.programs import Program
from causalsys.identify.responses import Array, Types
from causalsys.identify.slices import Slice, slices_of
from causalsys.identify.unfold import Event
from causalsys.identify.unknowns import NotLinearError, Term, TooLargeError, unknowns
from causalsys.scm.order import parts

_TYPES = 200_000


@dataclass(frozen=True)
class Law:
    """A distribution over the response types of a district.

    Attributes:
        types: The types.
        chances: Their probabilities.
        fixed: Outside causes at whose levels this holds; the types answer to the others.
    """

    types: Types
    chances: Array
    fixed: Mapping[str, int]


@dataclass(frozen=True)
class Bounds:
    """The least and the most that models of a graph give, among those that fit what is seen.

    Attributes:
        low: The least.
        high: The most.
        misfit: The share of rows that would have to be others before any model of the graph fits;
            0 unless the graph is wrong or rows are few. Bounds are then over the nearest models.
        sharp: Whether models of the graph attain both; otherwise bounds are valid but may be wide.
        least: For each unknown district, what its latents do in a model that attains `low`.
        most: Likewise for `high`.
    """

    low: float
    high: float
    misfit: float = 0.0
    sharp: bool = True
    least: tuple[Law, ...] = field(default=(), repr=False, compare=False)
    most: tuple[Law, ...] = field(default=(), repr=False, compare=False)


@dataclass(frozen=True)
class Task:
    """What is seen, and how districts are taken together.

    Attributes:
        seen: What is observed.
        districts: Sets of variables whose latents may be shared.
        shared: Sets of variables that one latent acts on.
        rising: Pairs (cause, effect).
        whole: Whether nothing was left out or let loose.
    """

    seen: Observed
    districts: tuple[Names, ...]
    shared: tuple[Names, ...]
    rising: tuple[tuple[str, ...], ...]
    whole: bool = True

    def solve(self, asked: Sequence[Term], given: Sequence[Event]) -> Bounds:
        """The bounds, where each way has at most one unknown district."""
        base = self._base(given) if given else 1.0
        joint = [(weight, (*events, *given)) for weight, events in asked]
        split = unknowns(self.seen, self.districts, joint)
        low = high = split.sure
        misfit, laws = 0.0, []
        slices = [each for d in split.districts() for each in slices_of(self.seen, d, split.of(d))]
        for each in slices:
            types = self._types(each)
            wanted = np.zeros(types.shape)
            for wants, weight in each.asked:
                wanted += weight * types.answering(wants)
            found = Program.of(types, self.seen, fixed=each.fixed).extremes(wanted)
            low, high, misfit = low + found.low, high + found.high, misfit + found.misfit
            laws.append([Law(types, law, each.fixed) for law in (found.least, found.most)])
        floor = sum(min(weight, 0.0) for weight, _ in asked)
        top = sum(max(weight, 0.0) for weight, _ in asked)
        return Bounds(
            low=float(np.clip(low / base, floor, top)),
            high=float(np.clip(high / base, floor, top)),
            misfit=misfit,
            sharp=self.whole and all(map(self._attains, split.districts())),
            least=tuple(first for first, _ in laws),
            most=tuple(last for _, last in laws),
        )

    def _base(self, given: Sequence[Event]) -> float:
        """The probability of what is given, which must be known."""
        split = unknowns(self.seen, self.districts, [(1.0, given)])
        if split.weights:
            raise NotLinearError(split.districts())
        if split.sure <= 0:
            raise EvidenceError(
                given[0].variable,
                found="given, with the rest, as something that never comes about",
                mend="Ask about rows that can exist.",
            )
        return split.sure

    def merged(self, districts: Collection[Names]) -> Task:
        """The task in which these districts may share a latent."""
        whole = frozenset[str]().union(*districts)
        rest = tuple(district for district in self.districts if not district & whole)
        return Task(self.seen, (*rest, whole), self.shared, self.rising, whole=False)

    def smaller(self, events: Sequence[Event]) -> Task | None:
        """The task without what causes nothing in question; None where all of it does."""
        graph = self.seen.graph
        named = {event.variable for event in events} | {n for event in events for n in event.do}
        kept = graph.ancestors(named)
        if len(kept) == len(graph.nodes):
            return None
        districts = tuple(
            frozenset(part) for district in self.districts for part in self._within(district & kept)
        )
        return Task(self.seen.keep(kept), districts, self.shared, self.rising, whole=False)

    def _within(self, names: Names) -> list[list[str]]:
        siblings = self.seen.graph.siblings
        return parts(
            sorted(names), [(n, tie) for n in sorted(names) for tie in siblings[n] & names]
        )

    def _types(self, part: Slice) -> Types:
        cards = self.seen.cards
        count = prod(
            float(cards[name]) ** prod(cards[cause] for cause in causes)
            for name, causes in part.parents.items()
        )
        if count > _TYPES:
            raise TooLargeError(f"{count:.3g} response types of {', '.join(sorted(part.parents))}")
        rising = frozenset((cause, effect) for cause, effect in self.rising)
        return Types(tuple(part.parents), part.parents, cards, rising)

    def _attains(self, district: Names) -> bool:
        """Whether one latent may act on all of a district, so that all distributions may be."""
        return len(district) <= 2 or any(district <= names for names in self.shared)
