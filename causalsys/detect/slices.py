"""`cs.find_slices`: where, in few words, a model is wrong more than elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from causalsys.data.read import as_frame
from causalsys.detect.loss import real_numbers
from causalsys.detect.slice_clusters import by_clusters
from causalsys.detect.slice_columns import LARGEST, Columns, columns_of
from causalsys.detect.slice_conditions import Conditions, Mask, all_hold
from causalsys.detect.slice_lattice import by_lattice
from causalsys.detect.slice_pruning import Candidate, apart, candidates
from causalsys.detect.slice_result import Slice, Slices
from causalsys.detect.slice_significance import FINEST, Contrast, contrast, exchanged, holm
from causalsys.detect.slice_tree import by_tree
from causalsys.errors import EvidenceError, QueryError
from causalsys.query.asked import count, listed, share

if TYPE_CHECKING:
    import pandas as pd

METHODS = ("lattice", "tree", "clusters")
_LEAST, _PART = 20, 0.01
"""A slice has at least so many rows, and such a part of them."""
_ALIKE = 0.8
"""Slices with this Jaccard index of rows are one."""
_PROBABILITY = 0.9


def find_slices(
    rows: pd.DataFrame,
    errors: ArrayLike,
    *,
    columns: Sequence[str] | None = None,
    methods: Sequence[str] = METHODS,
    most: int = 3,
    least: int | None = None,
    level: float = 0.05,
    top: int = 10,
    seed: int = 0,
) -> Slices:
    """Find short conjunctions of columns in whose rows the error is higher.

    One half of the rows is searched, by each method. What is found is shortened, and what says
    the same again is merged. The other half, which no search has seen, tests what is left: Welch's
    test of the mean error in against out, beside its permutation (the larger p counts), with
    Holm's correction for the slices tested. So the
    p values hold however hard was searched, and the figures are not those of lucky rows.

    Args:
        rows: A frame with columns of numbers, booleans, levels. A missing value lies in no slice
            but "is missing". Columns that cannot be sliced are left out with a note.
        errors: The error of each row, `[row]`, in any unit: larger is worse. A series needs the
            rows' labels, in their order.
        columns: Which columns; all that can be sliced without it.
        methods: Some of "lattice" (SliceLine: Sagadeeva and Boehm, SIGMOD 2021), "tree" (a
            regression tree on the error), "clusters" (k-means; a cluster is told by the
            conjunction that fits it).
        most: Most columns in a conjunction.
        least: Fewest rows of a slice; by default 20, or one in a hundred where that is more.
        level: The chance that any slice is named where none is worse than the rest.
        top: Most slices in the answer. At most twice as many are tested.
        seed: Of the halves, and of the clusters' starts.

    Raises:
        EvidenceError: There are too few rows, errors that are not finite or of another number,
            or no column that can be sliced.
        UnknownNameError: A column is not in the rows.
        QueryError: An argument is outside what it can be.

    Example:
        >>> import numpy as np, pandas as pd
        >>> rng = np.random.default_rng(0)
        >>> rows = pd.DataFrame({"load": rng.random(2000), "host": rng.choice(["a", "b"], 2000)})
        >>> errors = rng.exponential(1 + 3 * ((rows.load > 0.7) & (rows.host == "b")))
        >>> for each in find_slices(rows, errors).slices:
        ...     print(each, f"{each.share:.2f}")
        host = b and load > 0.705 0.13
    """
    return found_slices(
        rows,
        errors,
        columns=columns,
        methods=methods,
        most=most,
        least=least,
        level=level,
        top=top,
        seed=seed,
        across=True,
    )


def found_slices(
    rows: pd.DataFrame,
    errors: ArrayLike,
    *,
    columns: Sequence[str] | None,
    methods: Sequence[str],
    most: int,
    least: int | None,
    level: float,
    top: int,
    seed: int,
    across: bool,
) -> Slices:
    """As `find_slices`; without `across`, slices over different columns are kept apart.

    What only comes along with a clearer slice is then told too, so that the causal step may say
    which of them is the cause.
    """
    _check(methods, most=most, level=level, top=top)
    seed = count(seed, "seed", least=0)
    frame, _ = as_frame(rows, what="rows")
    values = _errors(errors, frame.index)
    least = _least(least, len(frame))
    found, looked_at, half, notes = search(
        frame, values, columns=columns, methods=methods, most=most, least=least, seed=seed
    )
    kept = apart(found, values[half], alike=_ALIKE, across=across)[: 2 * top]
    there = np.setdiff1d(np.arange(len(frame)), half)
    slices = figures(kept, frame.iloc[there], values[there], least=least, level=level, seed=seed)
    named = sorted(
        (each for each in slices if each.p <= level),
        key=lambda each: (each.p, -abs(each.effect), str(each)),
    )
    return Slices(
        tuple(named[:top]),
        float(values[there].mean()),
        looked_at,
        len(kept),
        (len(half), len(there)),
        level,
        _PROBABILITY,
        notes,
        (
            "Rows are independent: repeated or successive rows of one thing make p too small.",
            "A slice says where the error is high, and not why: see audit.slices.",
        ),
    )


def search(
    frame: pd.DataFrame,
    errors: NDArray[np.float64],
    *,
    columns: Sequence[str] | None,
    methods: Sequence[str],
    most: int,
    least: int,
    seed: int,
) -> tuple[list[Candidate], int, NDArray[np.int64], tuple[str, ...]]:
    """Candidates from one half of the rows.

    Returns:
        The candidates, the clearest first; how many conjunctions were found; which rows were
        searched; and what a reader must know.
    """
    half = np.sort(np.random.default_rng(seed).permutation(len(frame))[: len(frame) // 2])
    whole = columns_of(frame, columns, least=least)
    part, seen, few = whole.part(half), errors[half], max(2, least // 2)
    found, notes = _found(part, seen, methods=methods, most=most, least=few, seed=seed)
    return (
        candidates(found, part, seen, least=few),
        len({conditions for _, conditions in found}),
        half,
        (*whole.notes, *notes),
    )


def _found(
    columns: Columns,
    errors: NDArray[np.float64],
    *,
    methods: Sequence[str],
    most: int,
    least: int,
    seed: int,
) -> tuple[list[tuple[str, Conditions]], tuple[str, ...]]:
    found: list[tuple[str, Conditions]] = []
    notes: tuple[str, ...] = ()
    if not np.ptp(errors):
        return found, ("Every row has the same error.",)
    if "lattice" in methods:
        lattice = by_lattice(columns, errors, most=most, least=least)
        found += [("lattice", each) for each in lattice]
    if "tree" in methods:
        found += [("tree", each) for each in by_tree(columns, errors, most=most, least=least)]
    if "clusters" in methods:
        groups, unnamed = by_clusters(columns, errors, most=most, least=least, seed=seed)
        found += [("clusters", each) for each in groups]
        if unnamed:
            notes = (f"{unnamed} clusters with more error have no short description.",)
    return found, notes


def figures(
    kept: Sequence[Candidate],
    rows: pd.DataFrame,
    errors: NDArray[np.float64],
    *,
    least: int,
    level: float,
    seed: int,
) -> list[Slice]:
    """The candidates with their figures in rows that no search has seen.

    Those that are named were chosen for a high difference. So that nine in ten of their intervals
    hold nevertheless, what an interval may miss is shared among all that were tested (Benjamini
    and Yekutieli, JASA 2005, theorem 1).
    """
    held = [all_hold(each.conditions, rows) for each in kept]
    contrasts = [contrast(errors, each) for each in held]
    corrected = holm(_chances(contrasts, held, errors, seed=seed))
    total = float(errors.sum())
    named = float((corrected <= level).mean()) if kept else 1.0
    sure = 1 - (1 - _PROBABILITY) * (named or 1.0)
    return [
        Slice(
            one.conditions,
            found.inside,
            found.outside,
            found.difference,
            found.interval(sure),
            found.difference / found.spread if found.spread else np.inf,
            float(p),
            float(inside.mean()),
            float(errors[inside].sum()) / total if total else np.nan,
            int(inside.sum()),
            one.methods,
            one.aliases,
        )
        for one, inside, found, p in zip(kept, held, contrasts, corrected, strict=True)
        if found.rows >= least // 4
    ]


def _chances(
    contrasts: list[Contrast], held: list[Mask], errors: NDArray[np.float64], *, seed: int
) -> NDArray[np.float64]:
    """The larger of two p values; Welch's alone below what dealing anew can tell."""
    if not held:
        return np.zeros(0)
    welch = np.array([each.p() for each in contrasts])
    dealt = exchanged(errors, held, seed=seed)
    return np.where(dealt <= FINEST, np.minimum(welch, dealt), np.maximum(welch, dealt))


def _check(methods: Sequence[str], *, most: int, level: float, top: int) -> None:
    named = listed(methods, "methods")
    wrong = [each for each in named if each not in METHODS]
    if wrong or not named:
        raise QueryError(
            "methods", found=repr(methods), mend=f"Give a list of some of {', '.join(METHODS)}."
        )
    count(most, "most")
    count(top, "top")
    share(level, "level")


def _errors(errors: ArrayLike, index: pd.Index) -> NDArray[np.float64]:
    import pandas as pd

    rows = len(index)
    if isinstance(errors, pd.Series) and len(errors) == rows and not errors.index.equals(index):
        raise EvidenceError(
            "errors",
            found="a series whose labels are not those of the rows, in their order",
            mend="Give it the rows' index, or an array in the rows' order.",
        )
    values = real_numbers(errors)
    if values is None:
        raise EvidenceError(
            "errors", found="values that are no numbers", mend="Give one number per row."
        )
    if values.shape != (rows,):
        raise EvidenceError(
            "errors",
            found=f"shape {values.shape} for {rows} rows",
            mend="Give one number per row, in the rows' order.",
        )
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        raise EvidenceError(
            "errors",
            found=f"{len(bad)} of {rows} are not finite, the first in row {bad[0]}",
            mend="Leave these rows out, or give their error.",
        )
    if float(np.abs(values).max()) > LARGEST:
        raise EvidenceError(
            "errors", found=f"a value beyond {LARGEST:g}", mend="Give them in a larger unit."
        )
    return values


def _least(least: int | None, rows: int) -> int:
    few = max(_LEAST, ceil(_PART * rows)) if least is None else count(least, "least", least=2)
    if rows < 4 * few:
        raise EvidenceError(
            "rows",
            found=f"{rows} rows, for slices of at least {few}",
            mend=f"Give at least {4 * few} rows, or a smaller `least`.",
        )
    return few


__all__ = ["METHODS", "figures", "find_slices", "search"]
