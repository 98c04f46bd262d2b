"""How strong a hidden confounder would have to be to change a conclusion."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from causalsys.data.read import read
from causalsys.errors import QueryError, UnknownNameError
from causalsys.fit.abduct import abduct
from causalsys.fit.fitted import Fitted
from causalsys.identify.verdict import Verdict
from causalsys.query.ask import samples_for, told_by
from causalsys.query.asked import count, titles, worlds
from causalsys.query.confounded import Pair, pairs_of
from causalsys.query.draws import Draws, Estimate
from causalsys.query.intervention import Do
from causalsys.query.judged import Judged, asked_of, merged, refusal
from causalsys.query.strength import Benchmark, benchmarks
from causalsys.query.tilt import Tilt
from causalsys.query.tipping import Tipping, tipping_of
from causalsys.scm.supports import Boolean, Categorical

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_GRID = np.linspace(-0.95, 0.95, 39)


@dataclass(frozen=True, repr=False)
class Sensitivity:
    """An effect against the strength of a hidden confounder.

    The strength, from -1 to 1, is the correlation that the confounder gives the noise of a cause
    that was set and the noise of what it acts on; positive where what raises the cause (for a
    category: favours the level that is set) raises the effect too. At every strength the model
    gives the observed data the same likelihood.

    Attributes:
        outcome: The variable that the effect is on.
        unit: Its unit.
        quantity: What is reported of it, in words.
        pairs: Which noises are tied.
        threshold: What the conclusion compares the effect with.
        unconfounded: The effect without a hidden confounder.
        strengths: The grid, `[strength]`.
        estimate: The effect at each strength, `[strength]`.
        low: The lower end of its interval, `[strength]`.
        high: The upper end, `[strength]`.
        tipping: Where the conclusion changes.
        benchmarks: Logged variables as such confounders, the strongest first.
        verdict: What carries the effect without a hidden confounder.
    """

    outcome: str
    unit: str
    quantity: str
    pairs: tuple[Pair, ...]
    threshold: float
    unconfounded: Estimate
    strengths: NDArray[np.float64]
    estimate: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    tipping: Tipping
    benchmarks: tuple[Benchmark, ...]
    verdict: Verdict

    @property
    def level(self) -> float:
        """The level of the intervals."""
        return self.unconfounded.level

    def times(self, name: str, *, of: Literal["interval", "estimate"] = "interval") -> float:
        """How many times as strong as a logged variable a confounder has to be.

        Args:
            name: One of the `benchmarks`.
            of: Until the interval reaches the threshold, or the estimate does.

        Returns:
            Infinity where no strength of the grid suffices.

        Raises:
            UnknownNameError: It is not among the benchmarks.
        """
        strengths = {each.name: abs(each.strength) for each in self.benchmarks}
        if name not in strengths:
            raise UnknownNameError.among(name, strengths, where="the logged influences to compare")
        least = self.tipping.least(of)
        if least is None or not strengths[name]:
            return float("inf")
        return least / strengths[name]

    def to_frame(self) -> pd.DataFrame:
        """A row per strength: the effect and its interval."""
        import pandas as pd

        columns = {"estimate": self.estimate, "low": self.low, "high": self.high}
        return pd.DataFrame(columns, index=pd.Index(self.strengths, name="strength"))

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the effect against the strength; returns the axes."""
        from causalsys.query.sensitivity_picture import draw

        return draw(self, ax=ax)

    def __str__(self) -> str:
        from causalsys.query.sensitivity_words import told

        return told(self)

    def __repr__(self) -> str:
        return str(self)


def sensitivity(
    fitted: Fitted,
    evidence: object,
    *,
    do: Do | Sequence[Do],
    outcome: str,
    of: Literal["mean"] | float = "mean",
    threshold: float = 0.0,
    strengths: Sequence[float] | None = None,
    between: tuple[str, str] | None = None,
    level: float = 0.9,
    samples: int | None = None,
    seed: int = 0,
) -> Sensitivity:
    """How strong a hidden confounder would have to be to change a conclusion; see `Tilt`.

    The effect is the average over the rows of the outcome under `do`, less what was observed;
    with two worlds, the first less the second. The conclusion is the side of `threshold` on
    which its whole interval lies.

    Args:
        fitted: The model.
        evidence: Rows as for `counterfactual`.
        do: One world as for `counterfactual`, or two.
        outcome: The variable that the effect is on: a number or a boolean.
        of: What is compared of the rows' outcomes: "mean", or a quantile such as 0.99.
        threshold: What the effect is compared with, in the outcome's unit.
        strengths: The grid, inside (-1, 1); 39 from -0.95 to 0.95 by default.
        between: The one cause and effect whose noises are tied. By default every cause in `do`
            with each variable that it acts on towards the outcome, all with the same strength.
        level: The level of the intervals.
        samples: Draws per row, as for `counterfactual`.
        seed: Fixes the draws.

    Raises:
        QueryError: The outcome is not affected, or an argument is none that can be used.
        InterventionError: A variable in `do` has no noise that a confounder could tie.
        EvidenceError: The evidence cannot be used.
        NotIdentifiedError: There is no one effect even without a hidden confounder.
        UnknownNameError: A name is not in the model.

    Example:
        >>> import numpy as np, pandas as pd, causalsys as cs
        >>> class Cache(cs.SCM):
        ...     load = cs.Observed(cs.Real(), mechanism=cs.Linear())
        ...     size = cs.Observed(cs.Real("GB"), parents=[load], mechanism=cs.Linear())
        ...     wait = cs.Observed(cs.Real("ms"), parents=[load, size], mechanism=cs.Linear())
        >>> rng = np.random.default_rng(0)
        >>> load, a, b = rng.normal(size=(3, 500))
        >>> size = load + a
        >>> rows = pd.DataFrame({"load": load, "size": size, "wait": load - size + b})
        >>> found = sensitivity(Cache.fit(rows), rows, do={"size": lambda size: size + 1},
        ...                     outcome="wait")
        >>> round(found.tipping.least("estimate"), 1), round(found.times("load", of="estimate"), 1)
        (0.7, 1.4)

    Source: Cinelli and Hazlett (JRSS B 2020) for the question and its comparison with what is
    logged; Franks, D'Amour and Feller (JASA 2020) for families without observable implications.
    """
    dos = worlds(do)
    if len(dos) > 2:
        raise QueryError(
            "do", found=f"{len(dos)} worlds", mend="Give one world, or two to be compared."
        )
    target = _outcome(fitted, outcome)
    pairs = pairs_of(fitted, dos, outcome=target, between=between)
    reduce, least, grid = _reduction(of), _number(threshold, "threshold"), _grid(strengths)
    _level(level)
    draws = None if samples is None else count(samples, "samples")
    seed = count(seed, "seed", least=0)
    table = read(fitted.schema, evidence, purpose="evidence")
    verdict = _verdict(fitted, dos, target, told_by(table))
    found = abduct(fitted, table, samples=draws or samples_for(fitted, table), seed=seed)
    tilt = Tilt(fitted, found, pairs)
    observed = found.table.values[target] if len(dos) == 1 else None

    def effect(strength: float) -> Estimate:
        here = reduce(tilt.values(target, dos[0], strength=strength))
        if observed is not None:
            there = reduce(observed)
        else:
            there = reduce(tilt.values(target, dos[1], strength=strength, against=True))
        return Draws((here - there)[:, None]).average(level)

    at = [effect(strength) for strength in grid]
    zero = effect(0.0)
    shown, words = titles(dos), "mean" if of == "mean" else f"{of:g} quantile"
    against = shown[1] if observed is None else "what was observed"
    return Sensitivity(
        target,
        fitted.schema.supports[target].unit,
        f"{words} of {target} under {shown[0]}, less that under {against}"
        if observed is None
        else f"{words} of {target} under {shown[0]}, less {against}",
        pairs,
        least,
        zero,
        grid,
        np.array([each.value for each in at]),
        np.array([each.low for each in at]),
        np.array([each.high for each in at]),
        tipping_of(effect, zero, at, grid=grid, threshold=least),
        benchmarks(fitted, found, pairs),
        verdict,
    )


def _verdict(
    fitted: Fitted, dos: Sequence[Do], outcome: str, told: Sequence[frozenset[str]]
) -> Verdict:
    """What carries the effect, were there no confounder but those that are declared.

    Raises:
        NotIdentifiedError: Nothing does.
    """
    judged = Judged(fitted.judge, tuple(asked_of(fitted, do, evidence=told) for do in dos))
    parts = [judged.of(outcome, world=world) for world in range(len(dos))]
    verdict = merged(parts, question=parts[0].question)
    if not verdict.answerable:
        raise refusal(outcome, verdict)
    return verdict


def _outcome(fitted: Fitted, outcome: str) -> str:
    """The outcome's name, if it has a mean and is logged."""
    node = fitted.node(outcome)
    support = fitted.schema.supports[node.name]
    plain = isinstance(support, Categorical) and not isinstance(support, Boolean)
    for wrong, found, mend in (
        (node.kind == "latent", "a latent, whose scale nothing observed fixes", "logged"),
        (bool(support.size), "a vector, which has no one effect", "a number"),
        (plain, "a category, which has no mean", "a number or a boolean"),
    ):
        if wrong:
            raise QueryError(node.name, found=found, mend=f"Ask about a variable that is {mend}.")
    return node.name


def _reduction(of: object) -> Callable[[Tensor], NDArray[np.float64]]:
    """What turns the rows' outcomes `[sample, row]` into one number a sample."""
    if of == "mean":
        return lambda values: np.asarray(values.double().mean(-1).numpy(), dtype=np.float64)
    share = _number(of, "of")
    if not 0 < share < 1:
        raise QueryError("of", found=repr(of), mend='Give "mean", or a quantile such as 0.99.')
    return lambda values: np.asarray(np.quantile(values.double().numpy(), share, axis=-1))


def _grid(strengths: Sequence[float] | None) -> NDArray[np.float64]:
    if strengths is None:
        return _GRID.copy()
    if isinstance(strengths, str) or not np.ndim(np.asarray(strengths, dtype=object)):
        raise QueryError(
            "strengths", found=repr(strengths), mend="Give a list of numbers inside (-1, 1)."
        )
    found = np.unique([_number(each, "strengths") for each in strengths])
    if not len(found) or not bool((np.abs(found) < 1).all()):
        raise QueryError(
            "strengths",
            found=repr(list(map(float, found))),
            mend="Give correlations inside (-1, 1): at 1 the confounder leaves no noise.",
        )
    return found


def _level(level: object) -> None:
    if not 0 < _number(level, "level") < 1:
        raise QueryError("level", found=repr(level), mend="Give a number between 0 and 1.")


def _number(value: object, name: str) -> float:
    real = isinstance(value, int | float | np.integer | np.floating)
    if not real or isinstance(value, bool) or not np.isfinite(float(value)):  # type: ignore[arg-type]
        raise QueryError(name, found=repr(value), mend="Give a finite number.")
    return float(value)  # type: ignore[arg-type]
