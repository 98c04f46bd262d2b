"""What a verdict computes from the data: sums, products and quotients of conditional probabilities.

A formula is a tree of four kinds of node. A sum binds its variables as a loop does: inside of it,
their names mean what is summed over, and outside what is held or asked for. So `str()` alone has to
tell the two apart, by primes. The constructors `total`, `product` and `quotient` simplify.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from operator import mul
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Table: TypeAlias = NDArray[np.float64]

Names = frozenset[str]


class Formula:
    """An expression in the distribution of what is observed."""

    @cached_property
    def free(self) -> Names:
        """The variables that it is a function of."""
        raise NotImplementedError

    def evaluate(self, table: Table, names: Sequence[str]) -> Table:
        """The formula's values on a discrete joint distribution.

        Args:
            table: Probabilities, one axis to a variable.
            names: The axes' variables.

        Returns:
            An array with the same axes; those of variables that are not free have length one.
            What is conditioned on an event of probability zero counts as zero.

        Example:
            >>> import numpy as np
            >>> joint = np.array([[0.1, 0.3], [0.4, 0.2]])
            >>> P("y", "x").evaluate(joint, ["x", "y"]).round(2)
            array([[0.25, 0.75],
                   [0.67, 0.33]])
        """
        raise NotImplementedError

    def __str__(self) -> str:
        from causalsys.identify.notation import text

        return text(self)


@dataclass(frozen=True)
class Probability(Formula):
    """P(of | given); both sorted."""

    of: tuple[str, ...]
    given: tuple[str, ...] = ()

    @cached_property
    def free(self) -> Names:
        """Both sides of the bar."""
        return frozenset(self.of).union(self.given)

    def evaluate(self, table: Table, names: Sequence[str]) -> Table:
        """The conditional distribution; the base class says how."""
        return _over(_marginal(table, names, self.free), _marginal(table, names, self.given))


@dataclass(frozen=True)
class Product(Formula):
    """All factors multiplied; none is a product, and without factors it is one."""

    factors: tuple[Formula, ...] = ()

    @cached_property
    def free(self) -> Names:
        """What is free in a factor."""
        none: Names = frozenset()
        return none.union(*(factor.free for factor in self.factors))

    def evaluate(self, table: Table, names: Sequence[str]) -> Table:
        """The product of the factors; the base class says how."""
        one = table.sum(keepdims=True) ** 0
        return reduce(mul, (factor.evaluate(table, names) for factor in self.factors), one)


@dataclass(frozen=True)
class Sum(Formula):
    """The body summed over variables, sorted, that are free in it."""

    over: tuple[str, ...]
    body: Formula

    @cached_property
    def free(self) -> Names:
        """What is free in the body and not summed over."""
        return self.body.free.difference(self.over)

    def evaluate(self, table: Table, names: Sequence[str]) -> Table:
        """The sum; the base class says how."""
        axes = tuple(names.index(name) for name in self.over)
        return self.body.evaluate(table, names).sum(axis=axes, keepdims=True)


@dataclass(frozen=True)
class Quotient(Formula):
    """One formula divided by another."""

    above: Formula
    below: Formula

    @cached_property
    def free(self) -> Names:
        """What is free above or below."""
        return self.above.free | self.below.free

    def evaluate(self, table: Table, names: Sequence[str]) -> Table:
        """The quotient; the base class says how."""
        return _over(self.above.evaluate(table, names), self.below.evaluate(table, names))


ONE = Product()


def P(of: Collection[str], given: Collection[str] = ()) -> Formula:  # noqa: N802 - the field's
    """P(of | given), for sets of variables or one-letter names in a row.

    Example:
        >>> print(P("y", "xw"))
        P(y | w, x)
    """
    return Probability(tuple(sorted(of)), tuple(sorted(given))) if of else ONE


def product(factors: Iterable[Formula]) -> Formula:
    """The product, with P(a | b, c) P(b | c) as P(a, b | c).

    Example:
        >>> print(product([P("y", "wx"), P("w"), P("v", "w")]))
        P(v, w) P(y | w, x)
    """
    flat: list[Formula] = []
    for factor in factors:
        flat += factor.factors if isinstance(factor, Product) else [factor]
    known = _chained([factor for factor in flat if isinstance(factor, Probability)])
    rest = [factor for factor in flat if not isinstance(factor, Probability)]
    ordered = [*sorted(known, key=lambda p: (len(p.given), p.of, p.given)), *rest]
    return ordered[0] if len(ordered) == 1 else Product(tuple(ordered))


def total(over: Collection[str], body: Formula) -> Formula:
    """The sum, with what it leaves alone before it, and distributions that sum to one left out.

    Example:
        >>> print(total("vw", product([P("z"), P("v", "w"), P("w"), P("y", "wx")])))
        P(z) Σ_w P(w) P(y | w, x)
    """
    left, factors = _opened(set(over), _factors(body))
    while (found := _summed(sorted(left), factors)) is not None:
        name, factors = found
        left.remove(name)
    outside = [factor for factor in factors if not factor.free & left]
    inside = product(factor for factor in factors if factor.free & left)
    return product([*outside, Sum(tuple(sorted(left)), inside)] if left else outside)


def quotient(above: Formula, below: Formula) -> Formula:
    """The quotient, with what is common to both cancelled, and P(a, b) / P(a) as P(b | a).

    Example:
        >>> print(quotient(product([P("z"), P("xy", "w")]), product([P("z"), P("x", "w")])))
        P(y | w, x)
    """
    upper, lower = list(_factors(above)), []
    for factor in _factors(below):
        if factor in upper:
            upper.remove(factor)
            continue
        at = next((i for i, f in enumerate(upper) if _conditional(f, factor) is not None), None)
        if at is None:
            lower.append(factor)
        else:
            upper[at] = _conditional(upper[at], factor) or ONE
    return Quotient(product(upper), product(lower)) if lower else product(upper)


def _factors(formula: Formula) -> tuple[Formula, ...]:
    return formula.factors if isinstance(formula, Product) else (formula,)


def _conditional(above: Formula, below: Formula) -> Formula | None:
    """P(a, b | c) / P(b | c), where the two are of that form."""
    if not (isinstance(above, Probability) and isinstance(below, Probability)):
        return None
    if above.given != below.given or not set(below.of) <= set(above.of):
        return None
    return P(set(above.of).difference(below.of), (*below.of, *below.given))


def _chained(known: list[Probability]) -> list[Probability]:
    """The factors, with P(a | b, c) P(b | c) as P(a, b | c) for as long as there is such a pair."""
    for one in known:
        for other in known:
            if frozenset(one.given) == other.free and one is not other:
                rest = [factor for factor in known if factor is not one and factor is not other]
                joint = Probability(tuple(sorted((*one.of, *other.of))), other.given)
                return _chained([*rest, joint])
    return known


def _opened(over: set[str], factors: Sequence[Formula]) -> tuple[set[str], list[Formula]]:
    """One sum instead of sums in a sum, unless that captured a name."""
    left = set(over)
    flat: list[Formula] = []
    for at, factor in enumerate(factors):
        others = left.union(*(f.free for i, f in enumerate(factors) if i != at))
        if isinstance(factor, Sum) and not others.intersection(factor.over):
            left.update(factor.over)
            flat += _factors(factor.body)
        else:
            flat.append(factor)
    return left, flat


def _summed(left: list[str], factors: list[Formula]) -> tuple[str, list[Formula]] | None:
    """One of the variables whose sum is known, and the factors after it; None if there is none."""
    for name in left:
        touched = product(factor for factor in factors if name in factor.free)
        if isinstance(touched, Probability) and name in touched.of:
            rest = [factor for factor in factors if name not in factor.free]
            return name, [*rest, P(set(touched.of) - {name}, touched.given)]
    return None


def _marginal(table: Table, names: Sequence[str], kept: Collection[str]) -> Table:
    gone = tuple(axis for axis, name in enumerate(names) if name not in kept)
    return table.sum(axis=gone, keepdims=True)


def _over(above: Table, below: Table) -> Table:
    import numpy as np

    above, below = np.broadcast_arrays(above, below)
    return np.divide(above, below, out=np.zeros_like(above, dtype=float), where=below > 0)
