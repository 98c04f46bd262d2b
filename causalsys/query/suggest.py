"""A graph that data suggest, where nobody knows it: a starting point for the user's judgement.

The skeleton is that of the PC algorithm (Spirtes and Glymour, 1991) as pgmpy runs it; what the
user knows is never overruled.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from causalsys.data.read import as_frame
from causalsys.data.traces import Traces
from causalsys.errors import DataError, UnknownNameError
from causalsys.fit.covariance import Column, Given, covaries
from causalsys.query.asked import share
from causalsys.query.orient import oriented
from causalsys.query.suggestion import Known, Suggestion
from causalsys.scm.supports import Categorical, Support

if TYPE_CHECKING:
    import pandas as pd

_ROWS = 5000
_LEAST = 50
_MOST_GIVEN = 3
_MOST_LEVELS = 30
_COVARIANCE = "generalised covariance of ranks (nonlinear; numbers and categories)"
_CHI_SQUARE = "chi-square test of tables (categories)"


def suggest_graph(
    data: object,
    *,
    known: Known | Mapping[str, Any] | None = None,
    level: float = 0.05,
    supports: Mapping[str, Support] | None = None,
    seed: int = 0,
) -> Suggestion:
    """Suggest a causal graph over the columns of a table. A suggestion, not a finding.

    It is right only if no latent acts on two of the columns, rows are independent, and no
    dependence is hidden by another that cancels it; and tests err. Edges whose direction the
    data leave open stay open.

    Args:
        data: A frame, a mapping of columns, or a parquet path; no missing cells.
        known: What the user knows: `cs.Known(edges=..., forbidden=..., order=...)`, or a mapping
            with these names.
        level: The level of each test of independence. A pair stays joined unless one is passed.
        supports: What columns are, by name. By default numbers are numbers, and text and
            booleans are categories.
        seed: Fixes which rows are taken of more than 5000.

    Raises:
        DataError: A column has missing cells, is constant, or has too many levels.
        UnknownNameError: Knowledge or support of a column that is not there.
        CycleError: The known edges form a cycle.
        QueryError: The knowledge contradicts itself, or the level is none.

    Example:
        >>> import numpy as np, pandas as pd
        >>> from causalsys.query.suggest import suggest_graph
        >>> rng = np.random.default_rng(0)
        >>> load, cache = rng.normal(size=(2, 500))
        >>> latency = load - cache + 0.5 * rng.normal(size=500)
        >>> rows = pd.DataFrame({"load": load, "cache": cache, "latency": latency})
        >>> suggest_graph(rows).directed
        (('cache', 'latency'), ('load', 'latency'))
    """
    share(level, "level")
    if isinstance(data, Traces):
        raise DataError(
            "data",
            found="traces, whose rows follow each other",
            mend="Give a plain table: a suggestion does not look across steps.",
        )
    frame = as_frame(data)[0]
    names = sorted(map(str, frame.columns))
    told = known if isinstance(known, Known) else Known.of(known or {})
    told.check(names)
    for name in supports or {}:
        if name not in names:
            raise UnknownNameError.among(name, names, where="the data")
    if len(names) < 2 or len(frame) < _LEAST:
        raise DataError(
            "data",
            found=f"{len(names)} columns and {len(frame)} rows",
            mend=f"Give at least two columns and {_LEAST} rows.",
        )
    rows = np.sort(np.random.default_rng(seed).permutation(len(frame))[:_ROWS])
    columns = {name: _column(frame.iloc[rows], name, (supports or {}).get(name)) for name in names}
    search = _Search(columns, told, level)
    skeleton = search.skeleton()
    directed, undirected = oriented(names, skeleton, search.separators, known=told)
    return Suggestion(
        tuple(names),
        directed,
        undirected,
        known=told,
        test=search.test,
        level=float(level),
        rows=len(rows),
    )


class _Search:
    """The tests of the PC algorithm, with what the user knows.

    Attributes:
        separators: For each pair that was found independent, given what it was most clearly so
            (Ramsey, 2016); None where the user says that there is no edge.
    """

    def __init__(self, columns: Mapping[str, Column], known: Known, level: float) -> None:
        self.columns, self.known, self.level = columns, known, level
        self.separators: dict[frozenset[str], frozenset[str] | None] = {}
        tables = all(column.categorical for column in columns.values())
        self.test = _CHI_SQUARE if tables else _COVARIANCE
        self._table = self._chi_square() if tables else None
        self._clearest: dict[frozenset[str], float] = {}
        self._given: dict[frozenset[str], Given] = {}

    def skeleton(self) -> frozenset[frozenset[str]]:
        """The pairs that no test separates."""
        import pandas as pd
        from pgmpy.causal_discovery import PC

        frame = pd.DataFrame({name: column.values for name, column in self.columns.items()})
        search = PC(
            variant="stable",
            ci_test=self._independent,
            significance_level=self.level,
            max_cond_vars=_MOST_GIVEN,
            n_jobs=1,
            show_progress=False,
        )
        search.fit(frame)
        return frozenset(frozenset(edge) for edge in search.skeleton_.edges())

    def _independent(
        self, one: str, other: str, given: Any = (), significance_level: float = 0.05
    ) -> bool:
        pair, among = frozenset({one, other}), frozenset(given)
        if self.known.joins(one, other):
            return False
        if self.known.parts(one, other):
            self.separators[pair] = None
            return True
        if any(self.known.after(name, one) and self.known.after(name, other) for name in among):
            return False
        p_value = self._p_value(one, other, among)
        if p_value < self.level:
            return False
        if p_value > self._clearest.get(pair, -1.0):
            self._clearest[pair], self.separators[pair] = p_value, among
        return True

    def _p_value(self, one: str, other: str, among: frozenset[str]) -> float:
        if self._table is not None:
            return float(self._table.run_test(one, other, sorted(among))[1])
        rows = len(self.columns[one].values)
        if among not in self._given:
            given = [self.columns[name] for name in sorted(among)]
            self._given[among] = Given(given, rows=rows)
        return covaries(
            self.columns[min(one, other)],
            self.columns[max(one, other)],
            self._given[among],
            cluster=np.arange(rows),
            confirm=False,
        )[1]

    def _chi_square(self) -> Any:
        import pandas as pd
        from pgmpy.ci_tests import ChiSquare

        codes = {name: column.values.astype(int) for name, column in self.columns.items()}
        return ChiSquare(pd.DataFrame(codes).astype("category"))


def _column(frame: pd.DataFrame, name: str, support: Support | None) -> Column:
    """A column's values, with its kind as declared or as it looks."""
    import pandas as pd

    cells = frame[name]
    if cells.isna().any():
        raise DataError(
            name,
            found=f"{int(cells.isna().sum())} missing cells",
            mend="Drop those rows, or the column.",
        )
    if cells.nunique() < 2:
        raise DataError(
            name, found="a constant column, of which no cause can be told", mend="Leave it out."
        )
    numeric = pd.api.types.is_numeric_dtype(cells) and not pd.api.types.is_bool_dtype(cells)
    if not isinstance(support, Categorical) and (numeric or support is not None):
        try:
            values = cells.to_numpy(dtype=np.float64)
        except (TypeError, ValueError):
            raise DataError(name, found="cells that are no numbers", mend="Mend them.") from None
        if not np.isfinite(values).all():
            raise DataError(name, found="cells that are not finite", mend="Drop those rows.")
        return Column(values)
    codes: NDArray[np.int64] = pd.factorize(cells, sort=True)[0]
    if codes.max() >= _MOST_LEVELS:
        raise DataError(
            name,
            found=f"a category with {codes.max() + 1} levels",
            mend=f"Join levels to at most {_MOST_LEVELS}, or leave out what only names rows.",
        )
    return Column(codes.astype(np.float64), categorical=True)
