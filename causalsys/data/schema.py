"""A declaration with every support known: open categories have taken their levels from data."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from causalsys.data.levels import plain
from causalsys.errors import DataError, DeclarationError, MissingColumnError
from causalsys.scm.declaration import Declaration, Node
from causalsys.scm.supports import Boolean, Categorical, Level, Support

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Schema:
    """What the columns of a model's data are.

    Attributes:
        declaration: The declared model.
        supports: Each variable's support, categories with their levels.
    """

    declaration: Declaration
    supports: Mapping[str, Support]

    @classmethod
    def learn(cls, declaration: Declaration, frame: pd.DataFrame) -> Schema:
        """Take the levels of open categories from `frame`.

        Raises:
            DataError: A column that should give the levels has fewer than two.
        """
        supports = {}
        for node in declaration.nodes.values():
            support = node.support
            if isinstance(support, Categorical) and support.levels is None:
                support = _with_levels(node, support, frame)
            supports[node.name] = support
        return cls(declaration, supports)

    def parent_supports(self, node: Node) -> dict[str, Support]:
        """The support of each parent of `node`, by key."""
        return {parent.key: self.supports[parent.name] for parent in node.parents}

    @property
    def needed(self) -> tuple[Node, ...]:
        """The variables that data must have a column for, in causal order."""
        kinds = ("observed", "decision", "arm")
        return tuple(n for n in self.declaration.nodes.values() if n.kind in kinds)


def columns_of(node: Node) -> list[str]:
    """The names of a variable's columns: its own, or `name_0`, `name_1`, ... for a vector."""
    size = node.support.size
    return [node.name] if size is None else [f"{node.name}_{i}" for i in range(size)]


def _with_levels(node: Node, support: Categorical, frame: pd.DataFrame) -> Categorical:
    import pandas as pd

    if node.kind == "latent":
        raise DataError(
            node.name,
            found="a latent category without levels",
            mend="Say how many there are: cs.Latent(cs.Categorical(3)).",
        )
    names = columns_of(node)
    if missing := [name for name in names if name not in frame.columns]:
        raise no_column(node.name, missing[0], frame.columns)
    cells = frame[names].to_numpy(dtype=object).ravel()
    cells = cells[~pd.isna(cells)]
    if pd.api.types.infer_dtype(cells) == "string":
        cells = pd.unique(cells)  # in C: there may be millions of rows
    levels = sorted({_level(value, node) for value in cells}, key=_order)
    if node.kind == "arm" and len(levels) < 2:
        raise DataError(
            node.name,
            found=f"one arm only ({levels[0]})" if levels else "rows that name no arm",
            mend="Log at least two policies, assigned to traces at random.",
        )
    if len(levels) < 2:
        raise DataError(
            node.name,
            found=f"{len(levels)} level in the data {levels}",
            mend="Give data with at least two, or declare the levels: cs.Categorical([...]).",
        )
    try:
        return replace_levels(support, tuple(levels))
    except DeclarationError as error:
        raise DataError(node.name, found=error.found, mend="Write each level in one way.") from None


def no_column(variable: str, column: str, columns: Iterable[object]) -> MissingColumnError:
    """Say that `variable` lacks its column, and which one looks like it."""
    names = [str(name) for name in columns]
    close = difflib.get_close_matches(column, names, n=1)
    known = f"Columns: {', '.join(names[:12])}." if names else "There are no columns."
    return MissingColumnError(
        variable,
        found=f"no column {column!r} in the data",
        mend=f"Did you mean {close[0]!r}? Rename it." if close else known,
    )


def replace_levels(support: Categorical, levels: tuple[Level, ...]) -> Categorical:
    """The same support with these levels."""
    if isinstance(support, Boolean):
        return support
    return Categorical(levels, support.unit, size=support.size)


def _level(value: object, node: Node) -> Level:
    found = plain(value)
    if not isinstance(found, str | bool | int):
        raise DataError(
            node.name,
            found=f"a cell of type {type(found).__name__} as a level",
            mend="Name the levels by text, whole numbers or booleans.",
        )
    return found


def _order(level: Level) -> tuple[bool, float, str]:
    """Numbers by value, then text by name: never by where they occur in the data."""
    text = isinstance(level, str)
    return text, 0.0 if text else float(level), str(level)


__all__ = ["Schema", "columns_of", "no_column", "replace_levels"]
