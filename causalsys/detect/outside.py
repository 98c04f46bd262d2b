"""Whether new inputs lie where the calibration inputs lay, before any truth is known.

Half of the calibration inputs are a reference: the score of a row is its mean distance to the
nearest of them. The other half gives these scores their ranks, so that a new row that is
exchangeable with them has a p-value that holds (Laxhammar and Falkman, AMAI 2015; the split as in
`ranks`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from causalsys.detect.conformal_given import check_frame, numbers
from causalsys.detect.loss import Values
from causalsys.detect.ranks import excess, p_values
from causalsys.errors import EvidenceError, MissingColumnError
from causalsys.query.asked import count, share

if TYPE_CHECKING:
    import pandas as pd

_NEIGHBOURS = 5
_LEAST = 40


@dataclass(frozen=True)
class Outside:
    """Which rows lie outside the inputs of calibration.

    Attributes:
        p: Of each row, `[row]`: small where the calibration inputs are far away.
        level: Which p-values count as outside.
        excess: The chance that as many rows are outside, were they like those of calibration.
        index: The rows' labels.
    """

    p: Values
    level: float
    excess: float
    index: pd.Index

    @property
    def rows(self) -> Values:
        """Whether each row lies outside, `[row]`."""
        return np.asarray(self.p <= self.level + 1e-12)

    @property
    def holds(self) -> bool:
        """Whether no more rows lie outside than by chance."""
        return self.excess > 0.01

    def to_frame(self) -> pd.DataFrame:
        """One row per row: the p-value, and whether it lies outside."""
        import pandas as pd

        return pd.DataFrame({"p": self.p, "outside": self.rows}, index=self.index)

    def __str__(self) -> str:
        verdict = "as many as by chance" if self.holds else "more than by chance"
        caution = "" if self.holds else "; coverage is not promised there"
        return (
            f"{int(self.rows.sum())} of {len(self.p)} rows lie outside the calibration inputs, "
            f"{verdict} (level {self.level:.0%}, p = {self.excess:.2g}){caution}."
        )


def outside(
    rows: pd.DataFrame, *, calibration: pd.DataFrame, level: float, seed: int = 0
) -> Outside:
    """Find rows far from the calibration inputs.

    Args:
        rows: The new inputs.
        calibration: Those of calibration, at least 40 rows.
        level: Which p-values count as outside.
        seed: Splits the calibration rows.

    Raises:
        EvidenceError: There are too few calibration rows, or a cell is missing.
        MissingColumnError: The new inputs lack a column.
        QueryError: The level is not between 0 and 1, or the seed no whole number.
    """
    from sklearn.neighbors import NearestNeighbors

    level, seed = share(level, "level"), count(seed, "seed", least=0)
    check_frame("rows", rows)
    if len(calibration) < _LEAST:
        raise EvidenceError(
            "inputs",
            found=f"{len(calibration)} calibration rows",
            mend=f"Give at least {_LEAST} to tell what lies outside.",
        )
    order = np.random.default_rng(seed).permutation(len(calibration))
    half = len(order) // 2
    reference = calibration.iloc[order[:half]]
    known = _columns(reference, reference)
    search = NearestNeighbors(n_neighbors=_NEIGHBOURS).fit(known)
    held = search.kneighbors(_columns(calibration.iloc[order[half:]], reference))[0].mean(1)
    new = search.kneighbors(_columns(rows, reference))[0].mean(1)
    p = p_values(new, calibration=held)
    return Outside(p, level, excess(p, calibration=len(held), level=level), rows.index)


def _columns(rows: pd.DataFrame, reference: pd.DataFrame) -> Values:
    """Numbers in units of the reference's spread, categories as indicators of their levels."""
    import pandas as pd

    parts = []
    for name in reference.columns:
        if name not in rows.columns:
            raise MissingColumnError(
                str(name), found="no such column among the new inputs", mend="Give it."
            )
        column, known = rows[name], reference[name]
        if bool(column.isna().any()):
            raise EvidenceError(
                str(name),
                found=f"{int(column.isna().sum())} missing cells among the inputs",
                mend="Fill them, or leave the column out.",
            )
        if pd.api.types.is_numeric_dtype(known) and not pd.api.types.is_bool_dtype(known):
            found = numbers(str(name), column)
            low, middle, high = np.quantile(known.to_numpy(float), [0.16, 0.5, 0.84])
            spread = (high - low) / 2 or float(known.std(ddof=0)) or 1.0
            parts.append(((found - middle) / spread)[:, None])
            continue
        levels = sorted(known.unique(), key=str)
        hits = column.to_numpy()[:, None] == np.array(levels, dtype=object)[None, :]
        # An unseen level is as far from every other as two levels are, and once more.
        unseen = ~hits.any(1, keepdims=True)
        parts.append(np.concatenate([hits, 2 * unseen], axis=1).astype(np.float64))
    return np.concatenate(parts, axis=1)


__all__ = ["Outside", "outside"]
