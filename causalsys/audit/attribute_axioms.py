"""What one may ask of an attribution, and what each method gives up of it.

Of an outcome `f`, a row `x` and a reference population with the mean outcome `b`:

    specificity          Credit follows causation. What a variable gets follows from what the
                         outcome would be if it, and others, were set: nothing where that moves
                         nothing, and its part where it acts through other variables only.
    additivity           What a variable gets of `f + g` is what it gets of `f` and of `g`.
    completeness         What all variables get sums to `f(x) - b`.
    baseline invariance  What they get does not depend on the reference population.

No method has all four, for no method has the last two: take two populations with means `b` and
`b'` that differ. By completeness the sums differ, by `b - b'`; by baseline invariance they are the
same. So a method has completeness or baseline invariance, unless every outcome is the same.

Additivity and completeness are axioms of Shapley values (Shapley, 1953; of attributions:
Sundararajan, Taly and Yan, ICML 2017, section 2, as linearity and completeness). That marginal
SHAP passes over causes that act through others is noted by Heskes et al. (NeurIPS 2020, section 2).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Axiom:
    """One thing that one may ask of an attribution.

    Attributes:
        name: Its name.
        holds: Whether the method has it.
        words: Why, in a sentence.
    """

    name: str
    holds: bool
    words: str

    def __str__(self) -> str:
        return f"{self.name}: {'kept' if self.holds else 'given up'}. {self.words}"


_ADDITIVE = Axiom(
    "additivity",
    True,
    "Its values are weighted sums of outcomes. (An error is no sum of other errors.)",
)
_COMPLETE = Axiom("completeness", True, "A row's values sum to its outcome less the baseline.")

AXIOMS: dict[str, tuple[Axiom, ...]] = {
    "do": (
        Axiom(
            "specificity",
            True,
            "A coalition is set by do, so a cause is credited for what it moves through others, "
            "and what moves nothing gets 0.",
        ),
        _ADDITIVE,
        _COMPLETE,
        Axiom(
            "baseline invariance",
            False,
            "Variables that are not set follow the population of the fitted model: a model of "
            "other rows gives other values.",
        ),
    ),
    "shap": (
        Axiom(
            "specificity",
            False,
            "Only what the predictor reads is credited: a cause that acts through others gets "
            "nothing for it, and its effects get it all.",
        ),
        _ADDITIVE,
        _COMPLETE,
        Axiom(
            "baseline invariance",
            False,
            "Columns that are left out are taken from the background rows: others give other "
            "values.",
        ),
    ),
    "slope": (
        Axiom(
            "specificity",
            True,
            "The variable is set and its effects follow, so a cause is credited for what it moves "
            "through others, and what moves nothing gets 0.",
        ),
        _ADDITIVE,
        Axiom(
            "completeness",
            False,
            "Slopes, in the outcome's unit over the variable's, sum to no difference of outcomes.",
        ),
        Axiom(
            "baseline invariance",
            True,
            "A row is compared with itself, its own noises kept, and with no population.",
        ),
    ),
}
"""By method."""


__all__ = ["AXIOMS", "Axiom"]
