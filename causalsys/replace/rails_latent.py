"""`Unusual`: a latent state as training hardly saw it, inferred online from what is logged.

Where a latent is a variable's noise (`scm/absorb.py`), each past step tells it: `pull` gives the
noise of what was observed, under what it was caused by. The mean over a window of past steps is
held against the same mean in the training traces. That is another alarm than "unusual input": a
small throughput may be due to a small chunk, which is usual, or to a slow path, which is not.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from causalsys.errors import QueryError
from causalsys.fit.fitted import Fitted
from causalsys.query.asked import count, fitted_model, share
from causalsys.query.policy import Past
from causalsys.replace.rails_base import Objection, Proposal, Rail
from causalsys.scm.declaration import Node
from causalsys.simulate.simulate import Simulator

Tail = Literal["both", "low", "high"]
_FEW = 200
"""Rows of training below which a tail of one per cent is a guess."""


@dataclass(frozen=True)
class Unusual(Rail):
    """Alarms where the window's mean of a latent lies outside its usual range.

    Attributes:
        low: The least that is usual, by how many steps the mean is over, from 1 on, `[steps]`.
        high: The most, likewise.

    Example:
        >>> from causalsys.replace.rails_base import Proposal
        >>> rail = Unusual("path", lambda: None, low=torch.tensor([-2.0, -1.5]),
        ...                high=torch.tensor([2.0, 1.5]))
        >>> seen = torch.tensor([[-1.0, -2.5], [0.0, 0.5]])  # [trace, step]
        >>> rail.judge(Proposal(torch.zeros(2), None, step=9), seen).alarm.tolist()
        [True, False]
    """

    low: Tensor
    high: Tensor

    def judge(self, proposal: Proposal, found: Any) -> Objection:
        known = min(proposal.step, len(self.low))
        if not known:
            return Objection(torch.zeros(proposal.shape, dtype=torch.bool), proposal)
        mean = found[..., -known:].mean(-1)
        alarm = (mean < self.low[known - 1]) | (mean > self.high[known - 1])
        return Objection(alarm, proposal)

    @classmethod
    def from_model(
        cls,
        fitted: Fitted,
        variable: str,
        traces: object,
        *,
        level: float = 0.02,
        steps: int = 3,
        tail: Tail = "both",
        name: str | None = None,
    ) -> Unusual:
        """The rail for a latent of a fitted model.

        Args:
            fitted: The model.
            variable: The latent, or the variable whose noise it is.
            traces: The traces on which the policy was trained.
            level: The share of steps of these traces in which the rail alarms; of both tails
                together.
            steps: Over how many past steps the mean goes, at most 100.
            tail: Which of the two is feared: a path may be too slow, and hardly too fast.
            name: What to call it; "unusual ..." by default.

        Raises:
            UnknownNameError: The model has no such variable.
            QueryError: Its noise cannot be told from what is logged, or an argument is none.
        """
        node, level = _revealing(fitted_model(fitted), variable), share(level, "level")
        if tail not in ("both", "low", "high"):
            raise QueryError("tail", found=repr(tail), mend='Give "both", "low" or "high".')
        if count(steps, "steps") > 100:
            raise QueryError("steps", found=f"{steps!r}", mend="Give a whole number from 1 to 100.")
        simulator = Simulator.of(fitted, traces)
        found, table = simulator.found, simulator.found.table
        noise = found.noise_of(node, slice(0, table.rows))[0].expand(table.rows).double()
        if table.rows < _FEW:
            raise QueryError(
                "traces",
                found=f"{table.rows} rows",
                mend=f"Give {_FEW} at least: the tails of fewer are a guess.",
            )
        each = level / 2 if tail == "both" else level
        ends = torch.tensor([each, 1 - each], dtype=torch.float64)
        means = _running(noise, table.layout.trace, steps)
        low, high = torch.stack([torch.quantile(mean, ends) for mean in means], 1)
        low = torch.full_like(low, -torch.inf) if tail == "high" else low
        high = torch.full_like(high, torch.inf) if tail == "low" else high
        function = _Noise(fitted, node, max(steps, 2))
        return cls(name or f"unusual {variable}", function, low, high)


def _running(noise: Tensor, trace: Tensor, steps: int) -> list[Tensor]:
    """Means over windows of 1 to `steps` rows of one trace."""
    found = [noise]
    for width in range(2, steps + 1):
        windows = noise.unfold(0, width, 1).mean(-1)
        within = trace[width - 1 :] == trace[: len(trace) - width + 1]
        found.append(windows[within] if bool(within.any()) else found[-1])
    return found


class _Noise:
    """The noise of a variable's past steps, `[..., trace, step]`."""

    def __init__(self, fitted: Fitted, node: Node, steps: int) -> None:
        self.mechanism = fitted.mechanisms[node.name].members(torch.zeros(1, dtype=torch.int64))
        self.keys = {f"parent_{place}": ref.key for place, ref in enumerate(node.parents)}
        self.steps = steps
        reads = {"value": node.name}
        reads |= {f"parent_{place}": ref.name for place, ref in enumerate(node.parents)}
        kind = inspect.Parameter.KEYWORD_ONLY
        self.__signature__ = inspect.Signature(
            [inspect.Parameter(n, kind, default=Past(v, steps)) for n, v in reads.items()]
        )
        self.__name__ = f"noise of {node.name}"

    def __call__(self, value: Tensor, **parents: Tensor) -> Tensor:
        lead = value.shape
        flat = value.reshape(1, -1)
        under = {key: self._flat(parents[argument], lead) for argument, key in self.keys.items()}
        with torch.no_grad():
            # Steps before a trace began hold 0, which is no value; what they give is not looked at.
            return self.mechanism.pull(flat, under).reshape(lead)

    @staticmethod
    def _flat(value: Tensor, lead: torch.Size) -> Tensor:
        size = value.shape[len(lead) :]
        return value.expand(*lead, *size).reshape(1, -1, *size)


def _revealing(fitted: Fitted, variable: str) -> Node:
    declaration = fitted.declaration
    absorbed = declaration.absorbed
    node = declaration.nodes[absorbed[variable]] if variable in absorbed else fitted.node(variable)
    why = None
    if node.name not in fitted.mechanisms or not fitted.mechanisms[node.name].bijective:
        why = "whose noise no value tells"
    elif fitted.mechanisms[node.name].noise_shape != ():
        why = "whose noise is more than one number"
    elif any(parent.lag for parent in node.parents):
        why = "which looks back at earlier steps"
    elif any(declaration.nodes[p.name].kind == "latent" for p in node.parents):
        why = "which has another latent among its causes"
    if why is not None:
        raise QueryError(
            variable,
            found=f"{node.name}, {why}",
            mend="Name a logged number with a bijective mechanism, whose causes are logged; or "
            "use When with a function of what is logged.",
        )
    return node


__all__ = ["Unusual"]
