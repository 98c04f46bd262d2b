"""Formulas as text, in the field's notation."""

from __future__ import annotations

from collections.abc import Mapping

from causalsys.identify.formula import Formula, Probability, Product, Quotient, Sum


def text(formula: Formula) -> str:
    """The formula, with a prime at what is summed over while its name also means something else.

    Example:
        >>> from causalsys.identify.formula import P, product, total
        >>> inner = total("x", product([P("x"), P("y", "mx")]))
        >>> text(total("m", product([P("m", "x"), inner])))
        "Σ_m P(m | x) Σ_x' P(x') P(y | m, x')"
    """
    return _text(formula, {name: name for name in formula.free})


def _text(formula: Formula, shown: Mapping[str, str]) -> str:
    match formula:
        case Probability(of, given):
            before = ", ".join(shown[name] for name in of)
            after = ", ".join(shown[name] for name in given)
            return f"P({before} | {after})" if given else f"P({before})"
        case Product(factors):
            *first, last = [_in_product(factor, shown) for factor in factors] or ["1"]
            if isinstance(factors[-1] if factors else None, Sum):
                last = _text(factors[-1], shown)
            return " ".join([*first, last])
        case Sum(over, body):
            within = dict(shown)
            for name in over:
                within[name] = name
                while within[name] in shown.values():
                    within[name] += "'"
            signs = ",".join(within[name] for name in over)
            return f"Σ_{signs if len(over) == 1 else f'{{{signs}}}'} {_in_product(body, within)}"
        case Quotient(above, below):
            return f"{_in_quotient(above, shown)} / {_in_quotient(below, shown)}"
    raise TypeError(f"no notation for {type(formula).__name__}")


def _in_product(factor: Formula, shown: Mapping[str, str]) -> str:
    inside = _text(factor, shown)
    return f"[{inside}]" if isinstance(factor, Sum | Quotient) else inside


def _in_quotient(part: Formula, shown: Mapping[str, str]) -> str:
    inside = _text(part, shown)
    return inside if isinstance(part, Probability) else f"[{inside}]"
