"""What is asked, split into what a joint table settles and the unknowns of single districts."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from causalsys.identify.mixed import Names
from causalsys.identify.observed import Observed
from causalsys.identify.responses import Wants
from causalsys.identify.unfold import Event, unfold

_WAYS = 100_000

Term = tuple[float, Sequence[Event]]
"""A weight and a conjunction; what is asked is the weighted sum of their probabilities."""

Unknown = tuple[Names, Wants]
"""A district, and what it must answer."""


class NotLinearError(Exception):
    """What is asked multiplies unknowns of several districts, which no linear program bounds."""

    def __init__(self, districts: Collection[Names]) -> None:
        self.districts = tuple(districts)
        told = "; ".join(", ".join(sorted(district)) for district in districts)
        super().__init__(f"what is asked is not linear in the unknowns of districts: {told}")


class TooLargeError(Exception):
    """There are too many response types, or too many ways in which the events come about."""


@dataclass(frozen=True)
class Unknowns:
    """A sum over districts.

    Attributes:
        sure: The part that is known.
        weights: The weight of each unknown.
    """

    sure: float
    weights: Mapping[Unknown, float]

    def districts(self) -> list[Names]:
        """The districts with unknowns, sorted by name."""
        return sorted({district for district, _ in self.weights}, key=sorted)

    def of(self, district: Names) -> list[tuple[Wants, float]]:
        """The unknowns of one district."""
        return [(wants, w) for (where, wants), w in self.weights.items() if where == district]


def unknowns(seen: Observed, districts: Sequence[Names], asked: Sequence[Term]) -> Unknowns:
    """Split what is asked.

    Args:
        seen: What is observed.
        districts: Sets of variables whose latents may be shared.
        asked: What is asked.

    Raises:
        NotLinearError: Some way in which the events come about has several unknown districts.
        TooLargeError: There are more than 100,000 such ways.
    """
    kernels = _Kernels(seen, districts)
    sure, ways = 0.0, 0
    weights: dict[Unknown, float] = {}
    for weight, events in asked:
        for way in unfold(seen.graph, seen.cards, events):
            ways += 1
            if ways > _WAYS:
                raise TooLargeError(f"more than {_WAYS} ways in which the events come about")
            factor, unknown = kernels.product(way)
            if unknown is None:
                sure += weight * factor
            elif factor:
                weights[unknown] = weights.get(unknown, 0.0) + weight * factor
    return Unknowns(sure, weights)


@dataclass(frozen=True)
class _Kernels:
    """What is known of districts' answers; remembered, as ways have much in common."""

    seen: Observed
    districts: Sequence[Names]
    found: dict[Unknown, float | None] = field(default_factory=dict)

    def product(self, way: Wants) -> tuple[float, Unknown | None]:
        """The known factors of a way multiplied, and the unknown one if there is one."""
        factor, unknown = 1.0, []
        for district in self.districts:
            mine = frozenset(want for want in way if want[0] in district)
            chance = self._chance((district, mine)) if mine else 1.0
            if chance is None:
                unknown.append((district, mine))
            else:
                factor *= chance
        if factor and len(unknown) > 1:
            raise NotLinearError([district for district, _ in unknown])
        return factor, unknown[0] if unknown else None

    def _chance(self, key: Unknown) -> float | None:
        if key not in self.found:
            self.found[key] = self.seen.known(*key)
        return self.found[key]
