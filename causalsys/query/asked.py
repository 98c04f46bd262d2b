"""What a question is asked with, checked before anything is computed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from causalsys.data.schema import columns_of
from causalsys.data.table import Layout
from causalsys.errors import InterventionError, QueryError
from causalsys.fit.fitted import Fitted
from causalsys.query.intervention import Do, Under
from causalsys.scm.variables import Variable

if TYPE_CHECKING:
    import pandas as pd


def count(value: object, name: str, *, least: int = 1) -> int:
    """A whole number of at least `least`.

    Raises:
        QueryError: It is none.
    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise QueryError(name, found=repr(value), mend=f"Give a whole number of at least {least}.")
    return int(value)


def share(value: object, name: str, *, zero: bool = False) -> float:
    """A number between 0 and 1, both excluded, or 0 where that is allowed.

    Raises:
        QueryError: It is none.
    """
    number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    if not number or not (0 < value < 1 or (zero and value == 0)):  # type: ignore[operator]
        raise QueryError(name, found=repr(value), mend="Give a number between 0 and 1.")
    return float(value)  # type: ignore[arg-type]


def amount(value: object, name: str, *, above: bool = False) -> float:
    """A finite number from 0 on, or above it.

    Raises:
        QueryError: It is none.
    """
    number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    if not number or not np.isfinite(value) or value < 0 or (above and value == 0):  # type: ignore[call-overload,operator]
        mend = "Give a number above 0." if above else "Give a number from 0 on."
        raise QueryError(name, found=repr(value), mend=mend)
    return float(value)  # type: ignore[arg-type]


def listed(value: object, name: str) -> tuple[object, ...]:
    """The elements of a list.

    Raises:
        QueryError: It is one word, or nothing that has elements.
    """
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        mend = f"Give a list: {name}=[{value!r}]." if isinstance(value, str) else "Give a list."
        raise QueryError(name, found=repr(value), mend=mend)
    return tuple(value)


def fitted_model(given: object) -> Fitted:
    """A fitted model.

    Raises:
        QueryError: It is none, or a model that is not fitted.
    """
    if not isinstance(given, Fitted):
        raise QueryError(
            "fitted",
            found=f"{getattr(given, '__name__', type(given).__name__)}, which is not fitted",
            mend="Fit it first: fitted = Model.fit(rows).",
        )
    return given


def worlds(do: Do | Sequence[Do]) -> list[Do]:
    """The worlds that `do` asks for, each a mapping that names every variable once.

    Raises:
        InterventionError: It is neither a mapping nor a list of mappings, or is empty.
    """
    found = [do] if isinstance(do, Mapping) or not isinstance(do, Sequence) else list(do)
    if not found:
        raise InterventionError("do", found="no worlds", mend="Give at least one mapping.")
    return [world(each) for each in found]


def world(do: Do) -> dict[str, Any]:
    """One world by the variables' names.

    Raises:
        InterventionError: It is no mapping, or names a variable twice.
    """
    if not isinstance(do, Mapping):
        raise InterventionError(
            "do",
            found=f"a {type(do).__name__}",
            mend='Give a mapping: do={"server": 3}, or a list of them.',
        )
    found: dict[str, Any] = {}
    for key, value in do.items():
        if named(key) in found:
            raise InterventionError(
                named(key), found="set twice in one world", mend="Name it once in `do`."
            )
        found[named(key)] = value
    return found


def by_row(given: Any, name: str, *, layout: Layout, index: pd.Index[Any], vector: bool) -> Any:
    """Values given row by row, in the order in which the rows are worked through.

    A series is matched by its labels; an array is in the order of the data as given.

    Args:
        given: What was given for a variable in `do`.
        name: The variable.
        layout: The rows' order.
        index: The rows' labels.
        vector: Whether the variable is a vector.

    Raises:
        InterventionError: The labels of a series are not those of the rows.
    """
    import pandas as pd
    from pandas.api.extensions import ExtensionArray

    if isinstance(given, pd.Series) and len(given) == len(index):
        if given.index.equals(index):
            return given.to_numpy()
        if not given.index.is_unique or set(given.index) != set(index):
            raise InterventionError(
                name,
                found="a series whose labels are not those of the rows",
                mend="Give it the rows' index, or an array in the order of the rows.",
            )
        return given.reindex(index).to_numpy()
    rows = isinstance(given, list | tuple | np.ndarray | Tensor | pd.Index | ExtensionArray)
    if not rows or layout.order is None or getattr(given, "ndim", 1) == 0:
        return given
    if len(given) != len(index):
        return given
    axes = getattr(given, "ndim", 2 if isinstance(given[0], list | tuple | np.ndarray) else 1)
    if axes != (2 if vector else 1):
        return given
    at = layout.order.numpy()
    return [given[row] for row in at] if isinstance(given, list | tuple) else given[at]


def condition(fitted: Fitted, given: Mapping[Any, Any], *, rows: int) -> pd.DataFrame:
    """The conditions of `given` as the columns of as many rows.

    Raises:
        QueryError: It is no mapping, or a value is missing or of the wrong length.
        UnknownNameError: A name is not in the model.
    """
    import pandas as pd

    if not isinstance(given, Mapping):
        raise QueryError(
            "given", found=f"a {type(given).__name__}", mend='Give a mapping: given={"load": 3}.'
        )
    if fitted.declaration.temporal:
        raise QueryError(
            "given",
            found="conditions on a model with states or lags",
            mend="Ask for the counterfactual of traces that have these values.",
        )
    columns: dict[str, Any] = {}
    for name, value in world(given).items():
        names = columns_of(fitted.node(name))
        parts = [value] if pd.api.types.is_scalar(value) else list(np.ravel(value))
        if len(parts) != len(names) or pd.isna(parts).any():
            raise QueryError(
                name,
                found=f"given {value!r}",
                mend=f"Give {len(names)} known value(s), the same for all rows.",
            )
        columns |= dict(zip(names, parts, strict=True))
    return pd.DataFrame(columns, index=pd.RangeIndex(rows))


def named(key: object) -> str:
    """The name of a variable, which may be given itself."""
    return key.name if isinstance(key, Variable) else str(key)


def titles(dos: Sequence[Do]) -> tuple[str, ...]:
    """What is done in each world; worlds that read alike are told apart by a number."""
    found = [told(do) for do in dos]
    return tuple(
        title if found.count(title) == 1 else f"{title} ({found[:place].count(title) + 1})"
        for place, title in enumerate(found)
    )


def told(do: Do) -> str:
    """What was done, in words."""
    if not do:
        return "nothing done"
    return ", ".join(f"{named(key)} := {_short(value)}" for key, value in do.items())


def _short(value: object) -> str:
    if callable(value):
        label = getattr(value, "__name__", type(value).__name__)
        return "a function" if label == "<lambda>" else label
    if isinstance(value, Under):
        return f"({told(value.do)})"
    if np.ndim(np.asarray(value, dtype=object)):
        return "one per row"
    return str(value)
