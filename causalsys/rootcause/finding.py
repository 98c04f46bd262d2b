"""What `root_cause` found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from causalsys.errors import UnknownNameError
from causalsys.rootcause.readings import Restored

if TYPE_CHECKING:
    import pandas as pd

Kind = Literal["one", "several", "outside", "none of these", "no incident"]


@dataclass(frozen=True)
class Cause:
    """Something that the incident may be blamed on.

    Attributes:
        name: The component, or the variable where no components are declared.
        others: Components that were not seen, and that the data cannot tell apart from it: the
            probability is that of all of them together.
        variables: Its variables whose mechanisms changed, the one that gave most first.
        probability: That it gave more of the target's excess than any other change did.
        log_bayes_factor: Of its best variable (or of the latent): changed against not, in nats.
        share: The share of the target's excess that is its own, by the mean over draws in which
            it changed; NaN where there is no target.
        interval: The 90 % interval of the share.
        path: The edges between components over which it reached the target.

    Example:
        >>> cause = Cause("db", ("disk",), ("db/latency",), 0.97, 12.3, 0.84, (0.71, 0.93))
        >>> print(cause)
        db or disk
    """

    name: str
    others: tuple[str, ...]
    variables: tuple[str, ...]
    probability: float
    log_bayes_factor: float
    share: float
    interval: tuple[float, float]
    path: tuple[tuple[str, str], ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """It and all that cannot be told apart from it."""
        return (self.name, *self.others)

    def __str__(self) -> str:
        return " or ".join(self.names)


@dataclass(frozen=True)
class Finding:
    """Which mechanisms changed, how sure, and what restoring them would do.

    Attributes:
        target: The target; None where there was none.
        kind: One cause, several, one that is outside the graph's services (a latent shared by
            many), "none of these" mechanisms, or "no incident": the target did not move.
        ranking: The causes, most probable first.
        none_probability: That no mechanism changed in a way that shows in the target.
        moved_probability: That the target moved at all.
        together: The causes that most probably acted together, each with a share of at least a
            fifth.
        together_probability: How probable that is.
        readings: What restoring the first causes would have done, one by one and together.
        within: For each component, its variables as causes: a resource, its own latency, ...
        suspects: Edges that the graph lacks and the data suggest, from cause to effect.
        assumptions: What all of this rests on, in sentences.

    Example:
        >>> import numpy as np, pandas as pd, causalsys as cs
        >>> rng = np.random.default_rng(0)
        >>> def rows(start, count, fault):
        ...     db = rng.normal(5, 1, count) + fault
        ...     page = 2 * db + rng.normal(3, 1, count)
        ...     return pd.DataFrame({"db": db, "page": page}, index=range(start, start + count))
        >>> model = cs.SCM.from_graph([("db", "page")])
        >>> normal = rows(0, 300, 0)
        >>> incident = rows(900, 6, np.array([0, 0, 9, 9, 9, 9]))
        >>> found = cs.root_cause(model.fit(normal), incident, target="page", normal=normal)
        >>> found.kind, found.cause.name, found.cause.path
        ('one', 'db', (('db', 'page'),))
        >>> found.credible()
        ('db',)
        >>> list(found.to_frame()["cause"])
        ['db', 'page', 'none of these']
    """

    target: str | None
    kind: Kind
    ranking: tuple[Cause, ...]
    none_probability: float
    moved_probability: float
    together: tuple[str, ...]
    together_probability: float
    readings: tuple[Restored, ...]
    within: Mapping[str, tuple[Cause, ...]]
    suspects: tuple[tuple[str, str], ...]
    assumptions: tuple[str, ...]

    @property
    def alarm(self) -> bool:
        """Whether something changed, more probably than not."""
        return self.none_probability < 0.5

    @property
    def cause(self) -> Cause | None:
        """The most probable cause; None where there is more likely none."""
        return self.ranking[0] if self.alarm and self.ranking else None

    def of(self, name: str) -> Cause:
        """The cause of this name.

        Raises:
            UnknownNameError: Nothing of this name could be blamed.
        """
        for cause in self.ranking:
            if name in cause.names:
                return cause
        raise UnknownNameError.among(
            name, [cause.name for cause in self.ranking], where="the ranking"
        )

    def credible(self, level: float = 0.9) -> tuple[str, ...]:
        """The fewest names that hold the cause with this probability, given that there is one."""
        found: list[str] = []
        reached, all_ = 0.0, sum(cause.probability for cause in self.ranking)
        for cause in self.ranking:
            if reached >= level * all_:
                break
            found.extend(cause.names)
            reached += cause.probability
        return tuple(found)

    def to_frame(self) -> pd.DataFrame:
        """A row per cause, most probable first, and one for "none of these"."""
        import pandas as pd

        rows = [
            {
                "cause": str(cause),
                "probability": cause.probability,
                "share": cause.share,
                "low": cause.interval[0],
                "high": cause.interval[1],
                "log_bayes_factor": cause.log_bayes_factor,
                "variables": ", ".join(cause.variables),
            }
            for cause in self.ranking
        ]
        rows.append({"cause": "none of these", "probability": self.none_probability})
        return pd.DataFrame(rows)

    def __str__(self) -> str:
        from causalsys.rootcause.words import told

        return told(self)


__all__ = ["Cause", "Finding", "Kind"]
