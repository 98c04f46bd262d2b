"""What more or fewer latents change: the result of `latent_dimension`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from causalsys.errors import QueryError
from causalsys.fit.overidentified import Overidentification
from causalsys.query.draws import Estimate

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Size:
    """What one number of latents gives.

    Attributes:
        size: The latent's dimension, or its levels; 0 is no latent.
        held_out: Log likelihood per row of rows that were not fitted to, in nats, or None.
        gap: How much more the best size has, per row.
        error: The standard error of `gap`, over rows, or traces where there are any.
        test: The latents against the saturated model, or why there is no such test.
        answer: The answer to the question, with its interval over parameters; None without one.
        reason: Why something is missing.
        form: In traces, what the latent is: "luck", "declared" or "low rank"; else empty.
    """

    size: int
    held_out: float | None
    gap: float | None
    error: float | None
    test: Overidentification | str
    answer: Estimate | None
    reason: str = ""
    form: str = ""

    @property
    def plausible(self) -> bool:
        """Whether it predicts within one standard error of the best."""
        return self.gap is not None and self.error is not None and self.gap <= self.error

    @property
    def name(self) -> str:
        """The size, with its form where it has one."""
        told = {"luck": "0, luck", "declared": "1, as declared"}
        return told.get(self.form, f"{self.size}, low rank" if self.form else str(self.size))


@dataclass(frozen=True)
class LatentDimension:
    """The sizes that were tried; see `latent_dimension`.

    Attributes:
        latent: The latent.
        sizes: One entry for each size, smallest first.
        outcome: What the question asks for, or empty.
        unit: The outcome's unit.
        left_out: In traces, what was left out in turn to score the sizes: arms, or halves.
    """

    latent: str
    sizes: tuple[Size, ...]
    outcome: str = ""
    unit: str = ""
    left_out: tuple[str, ...] = ()

    @property
    def best(self) -> int:
        """The smallest size within one standard error of the best on held-out rows.

        Raises:
            QueryError: No size could be fitted and scored.
        """
        return self.chosen.size

    @property
    def chosen(self) -> Size:
        """The entry of the smallest such size; of two forms of a size the simpler one.

        Raises:
            QueryError: No size could be fitted and scored.
        """
        for each in self.sizes:
            if each.plausible:
                return each
        raise QueryError(
            self.latent,
            found="no size that could be fitted and scored on held-out rows",
            mend="Read `sizes`: each says why.",
        )

    @property
    def spread(self) -> tuple[float, float] | None:
        """The least and the most that the answer may be, where the number matters and is unknown.

        It covers the intervals of all sizes that predict within one standard error of the best,
        if two of these intervals do not meet; else None: they agree, or data tell the number.
        """
        found = [each.answer for each in self.sizes if each.plausible and each.answer is not None]
        if not found or max(a.low for a in found) <= min(a.high for a in found):
            return None
        return min(a.low for a in found), max(a.high for a in found)

    def to_frame(self) -> pd.DataFrame:
        """A row per size, and per form where there are forms."""
        import pandas as pd

        rows = []
        for each in self.sizes:
            test = each.test if isinstance(each.test, Overidentification) else None
            rows.append(
                {
                    "size": each.size,
                    **({"form": each.form} if each.form else {}),
                    "held_out": each.held_out,
                    "gap": each.gap,
                    "error": each.error,
                    "statistic": test and test.statistic,
                    "freedom": test and test.freedom,
                    "p_value": test and test.p_value,
                    "answer": each.answer and each.answer.value,
                    "low": each.answer and each.answer.low,
                    "high": each.answer and each.answer.high,
                    "reason": each.reason or ("" if test else str(each.test)),
                }
            )
        return pd.DataFrame(rows).set_index("size")

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """The held-out gap of each size, or the answer where a question was asked."""
        import matplotlib.pyplot as plt

        if ax is None:
            _, ax = plt.subplots(figsize=(6, 3.5), layout="constrained")
        chosen = self.best
        for each in self.sizes:
            color = "C1" if each.size == chosen else "C0"
            if self.outcome and each.answer is not None:
                value = each.answer.value
                around = [[value - each.answer.low], [each.answer.high - value]]
            elif not self.outcome and each.gap is not None and each.error is not None:
                value, around = -each.gap, [[each.error], [each.error]]
            else:
                ax.annotate(
                    "no answer" if self.outcome else "no score",
                    (each.size, 0.02),
                    xycoords=("data", "axes fraction"),
                    ha="center",
                )
                continue
            ax.errorbar([each.size], [value], yerr=around, fmt="o", capsize=4, color=color)
        unit = f" [{self.unit}]" if self.unit else ""
        ax.set_ylabel(
            f"{self.outcome}{unit}" if self.outcome else "held-out nats per row, less the best"
        )
        ax.set_xticks([each.size for each in self.sizes])
        ax.set_xlim(self.sizes[0].size - 0.5, self.sizes[-1].size + 0.5)
        ax.set_xlabel(
            f"size of {self.latent} (orange: the smallest that predicts as well as the best)"
        )
        return ax

    def __str__(self) -> str:
        best = self.best
        by = f"arms left out ({', '.join(self.left_out)})" if self.left_out else "held-out rows"
        lines = [f"{self.latent}: {_named(best)} enough for these data, by {by}"]
        for each in self.sizes:
            told = [f"  {each.name}:"]
            if each.gap is not None and each.error is not None:
                told.append(f"{each.gap:.4f} ± {each.error:.4f} nats per row below the best")
            if isinstance(each.test, Overidentification):
                test = each.test
                verdict = "refuted" if test.p_value < 0.05 else "not refuted"
                told.append(
                    f"{verdict} (χ² = {test.statistic:.1f} on {test.freedom} degrees of freedom, "
                    f"p = {test.p_value:.2g})"
                )
            elif not each.reason:
                told.append(f"no test ({each.test})")
            if each.answer is not None:
                told.append(f"{self.outcome} {each.answer} {self.unit}".rstrip())
            if each.reason:
                told.append(each.reason.splitlines()[0])
            lines.append(told[0] + " " + ", ".join(told[1:]))
        return "\n".join([*lines, *self._moves(best)])

    def _moves(self, best: int) -> list[str]:
        """How the answer moves with the size, in words."""
        unit = f" {self.unit}" if self.unit else ""
        if self.spread is not None:
            low, high = self.spread
            names = "; ".join(each.name for each in self.sizes if each.plausible)
            return [
                f"the number matters and these data cannot tell it: {self.outcome} is anywhere "
                f"from {low:.4g} to {high:.4g}{unit} ({names})"
            ]
        found = {each.size: each.answer.value for each in self.sizes if each.answer is not None}
        if self.chosen.answer is not None:
            found[best] = self.chosen.answer.value
        if best not in found:
            return [f"there is no answer with {best}"] if self.outcome else []
        beyond = [value for size, value in found.items() if size > best]
        if not beyond:
            return []
        far = max(beyond, key=lambda value: abs(value - found[best]))
        return [f"the answer moves from {found[best]:.4g} to at most {far:.4g}{unit} beyond {best}"]


def _named(size: int) -> str:
    return "no latent is" if size == 0 else f"{size} is"


def compared(
    found: Sequence[tuple[Size, NDArray[np.float64] | None]], cluster: NDArray[np.int64]
) -> tuple[Size, ...]:
    """The sizes with their distance to the best on held-out rows."""
    means = [-np.inf if scores is None else float(scores.mean()) for _, scores in found]
    best = found[int(np.argmax(means))][1]
    sizes = []
    for (size, scores), mean in zip(found, means, strict=True):
        if scores is None or best is None:
            sizes.append(size)
            continue
        short = best - scores
        sums = np.bincount(cluster, short - short.mean())
        error = float(np.sqrt((sums**2).sum())) / len(short)
        sizes.append(replace(size, held_out=mean, gap=float(short.mean()), error=error))
    return tuple(sizes)
