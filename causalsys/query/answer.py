"""What a question gives back: samples with their interval and their verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from causalsys.errors import NotIdentifiedError, QueryError, UnknownNameError
from causalsys.identify.verdict import Verdict
from causalsys.query.draws import Draws, Estimate
from causalsys.query.judged import Judged, refusal
from causalsys.scm.supports import Boolean, Categorical, Count, Fraction, Positive, Support

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


@dataclass(frozen=True, repr=False)
class Answer:
    """The worlds that a question asked for.

    Attributes:
        values: What the interventions reach, `[world, sample, row]`.
        factual: What they do not reach, and what was observed or inferred,
            `[1 or sample, row]`.
        supports: Every variable's support.
        worlds: What was done in each world, in words.
        index: The rows' labels.
        judged: What may be read, and why.
        inferred: Which variables were inferred because the evidence lacks them.
        outcome: What was asked for, where it was named.
        rivals: The answers of models that fit as well, where only a spread may be told.
        members: How many parameter sets the samples take turns with.
    """

    values: Mapping[str, Tensor]
    factual: Mapping[str, Tensor]
    supports: Mapping[str, Support]
    worlds: tuple[str, ...]
    index: pd.Index[Any]
    judged: Judged
    inferred: tuple[str, ...] = ()
    outcome: str | None = None
    rivals: tuple[Answer, ...] = ()
    members: int = 0

    @property
    def names(self) -> tuple[str, ...]:
        """The variables that the answer has."""
        return tuple(name for name in self.supports if name in self.values or name in self.factual)

    @property
    def verdict(self) -> Verdict:
        """Whether graph and data can carry the answer: the outcome, or all that is reached."""
        nodes = self.judged.judge.view.declaration.nodes
        if self.outcome is not None:
            return self.judged.over([self.outcome])
        done = {name for asked in self.judged.asked for name in asked.question.do}
        return self.judged.over(
            [n for n in self.values if n not in done and nodes[n].kind != "latent"]
        )

    def verdict_of(self, name: str, *, world: int | None = None) -> Verdict:
        """The verdict on one variable in a world."""
        self._known(name)
        return self.judged.of(name, world=self._world(world))

    def draws(self, name: str, *, world: int | None = None) -> Draws:
        """The draws of a variable in a world.

        Args:
            name: The variable.
            world: Which world; may be left out where there is one.

        Returns:
            `[sample, row]`; codes for a category.

        Raises:
            UnknownNameError: The answer has no such variable.
            QueryError: The world is not named, or there is none of that number.
            NotIdentifiedError: Graph, shapes and data cannot carry it.
        """
        values = self._tensor(name, self._world(world)).double().numpy().copy()
        return Draws(values, self._unit(name), self.members)

    def observed(self, name: str) -> Draws:
        """What was observed of a variable, or inferred of it, before anything was done.

        Raises:
            NotIdentifiedError: It was inferred, and data do not tell it. Latents may be looked at,
                and what is computed from them.
        """
        if name not in self.factual and name in self.names:
            raise QueryError(
                name,
                found="what follows from the record and is not kept with it"
                if self.factual
                else "nothing that was observed, since these rows are drawn",
                mend="Read the worlds: mean, interval, draws.",
            )
        if name not in self.factual:
            raise UnknownNameError.among(name, self.names, where="the answer")
        self._seen(name)
        values = self.factual[name].double().numpy().copy()
        return Draws(values, self._unit(name), self.members)

    def mean(self, name: str, *, world: int | None = None) -> NDArray[np.float64]:
        """The mean of each row, `[row]`; for a boolean its probability."""
        self._numeric(name)
        return self.draws(name, world=world).mean()

    def interval(
        self, name: str, level: float = 0.9, *, world: int | None = None
    ) -> NDArray[np.float64]:
        """The central interval of each row, `[row, 2]`."""
        self._numeric(name)
        return self._inside(name, self.draws(name, world=world).interval(level))

    def average(self, name: str, level: float = 0.9, *, world: int | None = None) -> Estimate:
        """The mean over rows, with its interval."""
        self._numeric(name)
        return self.draws(name, world=world).average(level)

    def probability(self, name: str, *, world: int | None = None) -> pd.DataFrame:
        """The probability of each level of a category: a row per row, a column per level.

        Raises:
            QueryError: The variable is no category.
        """
        import pandas as pd

        support = self._known(name)
        if not isinstance(support, Categorical) or support.size:
            raise QueryError(name, found="no plain category", mend="Use mean or interval.")
        codes = self._tensor(name, self._world(world))
        share = torch.stack([(codes == k).double().mean(0) for k in range(support.cardinality)], -1)
        return pd.DataFrame(share.numpy(), index=self.index, columns=list(support.levels or ()))

    def contrast(self, name: str, *, world: int | None = None, against: int | None = None) -> Draws:
        """A world minus another (by default minus what was observed), row by row and draw by draw.

        Args:
            name: The variable.
            world: The world; may be left out where there is one.
            against: The world that is subtracted.

        How much a row changes takes its noise in both worlds, which two laws do not tell. So the
        draws have a verdict of their own, `paired`, and without one only their means are told.
        """
        self._numeric(name)
        here = self._tensor(name, self._world(world)).double()
        if against is None and name in self.factual:
            self._seen(name)
        if against is None and name not in self.factual:
            raise QueryError(
                name,
                found="nothing observed to compare with",
                mend="Ask for two worlds, do=[{...}, {...}], and name them: world=1, against=0.",
            )
        there = (
            self.factual[name] if against is None else self._tensor(name, self._world(against))
        ).double()
        worlds = {self._world(each) for each in (world, against) if each is not None}
        paired = self.judged.paired(name, sorted(worlds or {0}))
        return Draws((here - there).numpy(), self._unit(name), self.members, paired)

    def spread(self, name: str, *, world: int | None = None) -> NDArray[np.float64]:
        """What models that fit as well say of each row, the least and the most, `[row, 2]`.

        It is no interval: nothing says how likely what lies in it is, or that nothing lies beyond.

        Raises:
            QueryError: It was not asked for, by outcome and allow="spread"; or it is identified,
                and has an interval.
        """
        means = self._rival_means(name, world)
        return np.stack([means.min(axis=0), means.max(axis=0)], axis=-1)

    def spread_of_average(self, name: str, *, world: int | None = None) -> tuple[float, float]:
        """What models that fit as well say of the mean over rows: the least and the most."""
        averages = self._rival_means(name, world).mean(axis=1)
        return float(averages.min()), float(averages.max())

    def to_frame(self, level: float = 0.9) -> pd.DataFrame:
        """A row per row and world, with mean, low and high of every numeric variable.

        What is not identified is left out, or has its spread alone where that was asked for.
        """
        import pandas as pd

        parts = []
        for world, title in enumerate(self.worlds):
            columns: dict[str, NDArray[np.float64]] = {}
            for name in self.values or self.factual:
                if self.supports[name].size or not self._readable(name, world):
                    if self.rivals and name == self.outcome:
                        ends = self.spread(name, world=world)
                        columns[f"{name}_least"], columns[f"{name}_most"] = ends[:, 0], ends[:, 1]
                    continue
                drawn = self.draws(name, world=world)
                support = self.supports[name]
                if isinstance(support, Categorical) and not isinstance(support, Boolean):
                    table = self.probability(name, world=world)
                    columns |= {f"{name}={k}": table[k].to_numpy() for k in table.columns}
                    continue
                ends = self._inside(name, drawn.interval(level))
                columns[name] = drawn.mean()
                columns[f"{name}_low"], columns[f"{name}_high"] = ends[:, 0], ends[:, 1]
            parts.append(pd.DataFrame({"world": title, **columns}, index=self.index))
        return pd.concat(parts)

    def plot(self, name: str, *, ax: Axes | None = None, level: float = 0.9) -> Axes:
        """Draw each world's mean and interval over the rows; returns the axes."""
        from causalsys.query.picture import draw

        self._numeric(name)
        if self.supports[name].size:
            raise QueryError(name, found="a vector, which has no one line", mend="Plot its draws.")
        return draw(self, name, ax=ax, level=level)

    def __str__(self) -> str:
        shown = f"{len(self.index)} rows, worlds: {'; '.join(self.worlds)}"
        inferred = f" Inferred, not observed: {', '.join(self.inferred)}." if self.inferred else ""
        return f"Answer over {shown}.{inferred}\n{self.verdict}"

    def __repr__(self) -> str:
        return str(self)

    def _inside(self, name: str, ends: NDArray[np.float64]) -> NDArray[np.float64]:
        """An interval cut off where the variable's support ends."""
        support = self.supports[name]
        low = 0.0 if isinstance(support, Positive | Fraction | Count | Boolean) else -np.inf
        high = 1.0 if isinstance(support, Fraction | Boolean) else np.inf
        return np.clip(ends, low, high)

    def _rival_means(self, name: str, world: int | None) -> NDArray[np.float64]:
        """Each rival's mean of each row, `[rival, row]`; for a boolean its probability."""
        self._numeric(name)
        if self.judged.of(name, world=self._world(world)).answerable:
            raise QueryError(
                name, found="identified, so that it has an interval", mend="Read mean, interval."
            )
        if not self.rivals or name != self.outcome:
            raise QueryError(
                name,
                found="a spread that was not asked for",
                mend=f'Ask with outcome="{name}", allow="spread".',
            )
        at = self._world(world)
        return np.stack(
            [
                (r.values[name][at] if name in r.values else r.factual[name])
                .double()
                .mean(0)
                .numpy()
                for r in self.rivals
            ]
        )

    def _seen(self, name: str) -> None:
        """Refuse what was inferred of a variable, where the data do not tell it."""
        verdict = self.judged.seen(name)
        if name not in self.judged.judge.view.hidden and not verdict.answerable:
            raise refusal(name, verdict)

    def _readable(self, name: str, world: int) -> bool:
        try:
            self.judged.require(name, world=world)
        except NotIdentifiedError:
            return False
        return True

    def _tensor(self, name: str, world: int) -> Tensor:
        self._known(name)
        self.judged.require(name, world=world)
        if name in self.values:
            return self.values[name][world]
        return self.factual[name]

    def _world(self, world: int | None) -> int:
        count = len(self.worlds)
        if world is None and count == 1:
            return 0
        whole = isinstance(world, int | np.integer) and not isinstance(world, bool)
        if world is None or not whole or not -count <= world < count:
            raise QueryError(
                "world", found=repr(world), mend=f"Name one of the {count} worlds, from 0."
            )
        return world

    def _known(self, name: str) -> Support:
        if name not in self.names:
            raise UnknownNameError.among(name, self.names, where="the answer")
        return self.supports[name]

    def _unit(self, name: str) -> str:
        return self.supports[name].unit

    def _numeric(self, name: str) -> None:
        support = self._known(name)
        if isinstance(support, Categorical) and not isinstance(support, Boolean):
            raise QueryError(
                name, found="a category, which has no mean", mend="Use answer.probability."
            )
