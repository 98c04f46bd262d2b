"""Slices: planted ones found, none where there are none, causes told from correlates.

Beside the whole search stand SliceLine alone and a tree alone, as their libraries have them: their
best slices by their own scores, all rows searched, nothing tested.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

import causalsys as cs
from benchmarks.lines import Line
from causalsys.audit.audit import Audit, audit
from causalsys.detect.slices import find_slices

NAME = "slices"
_FIRST = 1000
"""Seeds below were used to choose the defaults."""
_ROWS = 3000
_LIKE = 0.7
"""A slice is the planted one if the Jaccard index of their rows is at least this."""
_TAKEN = 5
"""So many slices are taken of a search that tests nothing."""

Mask = NDArray[np.bool_]
Search = Callable[[pd.DataFrame, NDArray[np.float64], int], list[Mask]]


class System(cs.SCM):
    """`a` acts on `b` and on the target, a hidden kind on three signs and on the target."""

    kind = cs.Latent(cs.Categorical(["u", "v"]))
    x = cs.Observed(cs.Real(), mechanism=cs.Linear())
    a = cs.Observed(cs.Real(), mechanism=cs.Linear())
    b = cs.Observed(cs.Real(), parents=[a], mechanism=cs.Linear())
    p = cs.Observed(cs.Real(), parents=[kind], mechanism=cs.Linear())
    q = cs.Observed(cs.Real(), parents=[kind], mechanism=cs.Linear())
    r = cs.Observed(cs.Real(), parents=[kind], mechanism=cs.Linear())
    y = cs.Observed(cs.Real(), parents=[x, kind], mechanism=cs.Linear())


class Seen(cs.SCM):
    """The same without the hidden kind."""

    x = cs.Observed(cs.Real(), mechanism=cs.Linear())
    a = cs.Observed(cs.Real(), mechanism=cs.Linear())
    b = cs.Observed(cs.Real(), parents=[a], mechanism=cs.Linear())
    y = cs.Observed(cs.Real(), parents=[x, a], mechanism=cs.Linear())


def run(*, quick: bool = False) -> list[Line]:
    """Recall and precision, false finds, and verdicts that are right."""
    seeds = range(_FIRST, _FIRST + (12 if quick else 48))
    none = range(_FIRST, _FIRST + (30 if quick else 100))
    causal = range(_FIRST, _FIRST + (3 if quick else 10))
    return [*_planted(seeds), *_empty(none), *_verdicts(causal)]


def _table(rng: np.random.Generator) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "a": rng.normal(size=_ROWS),
            "b": rng.random(_ROWS),
            "c": rng.exponential(1, _ROWS),
            "d": rng.normal(size=_ROWS),
            "host": rng.choice(list("pqrst"), _ROWS),
            "flag": rng.random(_ROWS) < 0.3,
            "code": rng.integers(0, 4, _ROWS),
        }
    )


def _where(rows: pd.DataFrame, seed: int) -> Mask:
    """One of four kinds of slice, in turn, of 7 to 12 % of the rows."""
    kinds = (
        (rows.a > 0.5) & (rows.b < 0.4),
        (rows.host == "p") & (rows.c > 0.8),
        rows.b > 0.9,
        rows.flag & (rows.code == 2),
    )
    return np.asarray(kinds[seed % len(kinds)], dtype=bool)


def _ours(rows: pd.DataFrame, errors: NDArray[np.float64], seed: int) -> list[Mask]:
    return [each.holds(rows) for each in find_slices(rows, errors, seed=seed).slices]


def _sliceline(rows: pd.DataFrame, errors: NDArray[np.float64], seed: int) -> list[Mask]:
    """SliceLine over ten bins of equal counts, with the paper's weight."""
    from sliceline import Slicefinder

    codes = pd.DataFrame(
        {
            name: pd.qcut(column, 10, labels=False, duplicates="drop")
            if pd.api.types.is_float_dtype(column)
            else pd.factorize(column)[0]
            for name, column in rows.items()
        }
    )
    finder = Slicefinder(alpha=0.95, k=_TAKEN, max_l=3, min_sup=_ROWS // 100, verbose=False)
    finder.fit(codes, errors)
    found = []
    for row in finder.top_slices_[:_TAKEN]:
        held = np.ones(len(rows), dtype=bool)
        for name, code in zip(codes.columns, row, strict=True):
            held &= True if code is None else codes[name].to_numpy() == int(code)
        found.append(held)
    return found


def _tree(rows: pd.DataFrame, errors: NDArray[np.float64], seed: int) -> list[Mask]:
    """The leaves of a tree of depth 3 with more error than the rows at large, the worst first."""
    from sklearn.tree import DecisionTreeRegressor

    matrix = pd.get_dummies(rows).astype(float)
    tree: Any = DecisionTreeRegressor(max_depth=3, min_samples_leaf=_ROWS // 100, random_state=0)
    leaf = tree.fit(matrix, errors).apply(matrix)
    means = {each: errors[leaf == each].mean() for each in np.unique(leaf)}
    worst = sorted((each for each in means if means[each] > errors.mean()), key=lambda n: -means[n])
    return [leaf == each for each in worst[:_TAKEN]]


def _planted(seeds: range) -> list[Line]:
    searches: dict[str, Search] = {
        "causalsys": _ours,
        "sliceline alone": _sliceline,
        "tree alone": _tree,
    }
    lines = []
    for name, search in searches.items():
        found, right, told = 0, 0, 0
        for seed in seeds:
            rng = np.random.default_rng(seed)
            rows = _table(rng)
            planted = _where(rows, seed)
            slices = search(rows, rng.exponential(1 + 2 * planted), seed)
            like = [(each & planted).sum() / (each | planted).sum() for each in slices]
            found += max(like, default=0.0) >= _LIKE
            right += sum(each >= _LIKE for each in like)
            told += len(slices)
        said = f"{len(seeds)} tables of {_ROWS} rows, three times the error in the slice"
        lines += [
            Line(NAME, f"{name}: planted slice found", found / len(seeds), note=said),
            Line(
                NAME,
                f"{name}: slices named that are the planted one",
                right / max(1, told),
                note=f"{told / len(seeds):.1f} named a table",
            ),
        ]
    return lines


def _empty(seeds: range) -> list[Line]:
    lines = []
    for heavy in (False, True):
        named = 0
        for seed in seeds:
            rng = np.random.default_rng(seed)
            rows = _table(rng)
            errors = rng.lognormal(0, 1.5, _ROWS) if heavy else rng.exponential(1, _ROWS)
            named += bool(len(find_slices(rows, errors, seed=seed)))
        share = named / len(seeds)
        kind = "heavy-tailed" if heavy else "exponential"
        lines.append(
            Line(
                NAME,
                f"none planted, {kind} errors: some slice is named",
                share,
                "≤ 0.05",
                share <= 0.05,
                f"{len(seeds)} tables; chance alone moves it by "
                f"{np.sqrt(0.05 * 0.95 / len(seeds)):.3f}",
            )
        )
    return lines


@dataclass
class _Count:
    """Verdicts counted by what is true."""

    cause: int = 0
    cause_kept: int = 0
    companion: int = 0
    companion_kept: int = 0
    unknown: int = 0


def _verdicts(seeds: range) -> list[Line]:
    lines = []
    cases = (("an observed cause", _seen, {"a", "x"}), ("a latent cause", _hidden, {"kind", "x"}))
    for what, case, causes in cases:
        count, share = _Count(), []
        for seed in seeds:
            audited, rows = case(seed)
            found = audited.slices(rows, seed=seed)
            for each in found.slices:
                columns = set(each.slice.columns)
                count.unknown += each.verdict == "unknown"
                if columns <= causes:
                    count.cause += 1
                    count.cause_kept += each.verdict == "kept"
                elif not columns & causes:
                    count.companion += 1
                    count.companion_kept += each.verdict == "kept"
            main = "kind" if case is _hidden else "a"
            share.append(any(main in each.slice.columns for each in found.kept))
        said = f"{len(seeds)} systems"
        lines += [
            Line(NAME, f"{what}: kept as a cause", float(np.mean(share)), note=said),
            Line(
                NAME,
                f"{what}: its slices are kept",
                count.cause_kept / max(1, count.cause),
                note=f"{count.cause} slices over causes alone",
            ),
            Line(
                NAME,
                f"{what}: slices of its companions are not kept",
                1 - count.companion_kept / max(1, count.companion),
                note=f"{count.companion} slices; {count.unknown} verdicts unknown",
            ),
        ]
    return lines


def _seen(seed: int) -> tuple[Audit, pd.DataFrame]:
    def rows(rng: np.random.Generator, jump: float) -> pd.DataFrame:
        x, a = rng.normal(size=_ROWS), rng.normal(size=_ROWS)
        bad = (a > 1) if seed % 2 else (a > 0.3) & (x > 0)
        y = 2 * x + a + jump * bad + rng.normal(size=_ROWS)
        return pd.DataFrame({"x": x, "a": a, "b": a + 0.5 * rng.normal(size=_ROWS), "y": y})

    rng = np.random.default_rng(seed)
    fitted = Seen.fit(rows(rng, 0.0), seed=seed)
    predictor = audit(fitted, lambda r: 2 * r["x"] + r["a"], target="y", inputs=["x", "a"])
    return predictor, rows(rng, 4.0)


def _hidden(seed: int) -> tuple[Audit, pd.DataFrame]:
    def rows(rng: np.random.Generator, jump: float) -> pd.DataFrame:
        kind, noise = rng.random(_ROWS) < 0.2, rng.normal(size=(7, _ROWS))
        return pd.DataFrame(
            {
                "x": noise[0],
                "a": noise[1],
                "b": noise[1] + 0.5 * noise[2],
                "p": 3 * kind + noise[3],
                "q": 2 * kind + noise[4],
                "r": -2 * kind + noise[5],
                "y": 2 * noise[0] + jump * kind + noise[6],
            }
        )

    rng = np.random.default_rng(seed)
    fitted = System.fit(rows(rng, 0.5), seed=seed)
    return audit(fitted, lambda r: 2 * r["x"], target="y", inputs=["x"]), rows(rng, 5.0)


__all__ = ["NAME", "run"]
