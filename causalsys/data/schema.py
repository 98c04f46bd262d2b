"""A declaration with every support known: open categories have taken their levels from data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from causalsys.errors import DataError, MissingColumnError
from causalsys.scm.declaration import Declaration, Node
from causalsys.scm.supports import Boolean, Categorical, Level, Support


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
    if node.kind == "latent":
        raise DataError(
            node.name,
            found="a latent category without levels",
            mend="Say how many there are: cs.Latent(cs.Categorical(3)).",
        )
    names = columns_of(node)
    if missing := [name for name in names if name not in frame.columns]:
        raise MissingColumnError(
            node.name, found=f"no column {missing[0]!r}", mend="Add it to the data."
        )
    seen = pd.unique(frame[names].to_numpy().ravel())
    levels: list[Level] = sorted((_level(v) for v in seen if not pd.isna(v)), key=_order)
    if len(levels) < 2:
        raise DataError(
            node.name,
            found=f"{len(levels)} level in the data ({levels})",
            mend="Give data with at least two, or declare the levels: cs.Categorical([...]).",
        )
    return replace_levels(support, tuple(levels))


def replace_levels(support: Categorical, levels: tuple[Level, ...]) -> Categorical:
    """The same support with these levels."""
    if isinstance(support, Boolean):
        return support
    return Categorical(levels, support.unit, size=support.size)


def _level(value: object) -> Level:
    if isinstance(value, str | bool | int):
        return value
    number = float(value)  # type: ignore[arg-type]
    return int(number) if number == int(number) else str(value)


def _order(level: Level) -> tuple[bool, float, str]:
    """Numbers by value, then text by name: never by where they occur in the data."""
    text = isinstance(level, str)
    return text, 0.0 if text else float(level), str(level)


__all__ = ["Schema", "columns_of", "replace_levels"]
