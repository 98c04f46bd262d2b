'''Structures: what a system carries from step to step, where no column could hold it.

A queue is a list of jobs, a cache its contents, a scheduler's ready set is a set. A state of such a
support holds an object in place of numbers. Whoever rolls traces forward makes it once, hands
it on in place, and keeps no copy of it: it has no column and cannot be read from an answer. Other
variables see it through equations, and its transition changes it.

One of your own is a frozen subclass of `Structure` with a method `start`, which gives the object
that a trace begins with. The object serves all worlds, samples and traces at once, so what it
holds are tensors that end with the axis of traces, `[..., trace]`:

```python
class Last:
    """When each trace last missed its cache."""

    def __init__(self, shape):
        self.since = torch.zeros(shape)

    def seen(self, missed):
        self.since = torch.where(missed, 0.0, self.since + 1)
        return self

@dataclass(frozen=True)
class SinceMiss(cs.Structure):
    def start(self, shape):
        return Last(shape)

class Cache(cs.SCM):
    missed = cs.Observed(cs.Boolean())
    last = cs.State(SinceMiss())

    @cs.equation(cs.Count("steps"))
    def since(last):
        return last.since

    @cs.transition(last)
    def seen(last, missed):
        return last.seen(missed)
```

Traces that have ended leave from the end of the axis: the object's own `keep(traces)` is called
where it has one, and otherwise every tensor among its attributes is narrowed.
'''

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from causalsys.errors import DeclarationError
from causalsys.scm.supports import Support

if TYPE_CHECKING:
    from causalsys.scm.declaration import Declaration, Node


@dataclass(frozen=True)
class Structure(Support):
    """A support whose values are objects that are carried, not numbers; see the module."""

    name: ClassVar[str] = "structure"

    def outside(self, values: NDArray[np.float64]) -> NDArray[np.bool_]:
        return np.zeros(np.shape(values), dtype=bool)

    def start(self, shape: tuple[int, ...]) -> Any:
        """The object with which traces begin.

        Args:
            shape: The leading axes, then the number of traces, `[..., trace]`.
        """
        raise DeclarationError(
            type(self).__name__,
            found="a structure without a start",
            mend="Define start(self, shape): the object with which traces begin.",
        )


def check_structures(node: Node, declaration: Declaration) -> None:
    """A structure is a state's, and is seen by equations and its own transition only.

    Raises:
        DeclarationError: It is not.
    """
    if isinstance(node.support, Structure) and node.kind != "state":
        raise DeclarationError(
            node.name,
            found=f"a structure ({node.support}) as a variable of the kind {node.kind}",
            mend="Only a state carries one: cs.State(cs.Fifo(8)).",
        )
    for parent in node.parents:
        if not isinstance(declaration.nodes[parent.name].support, Structure):
            continue
        own = parent.name == node.name and parent.lag == 1
        if not own and (node.kind != "equation" or parent.lag):
            raise DeclarationError(
                node.name,
                found=f"the parent {parent.key}, a structure, which is no number",
                mend="Write an equation that reads a number off it, and let that be the parent.",
            )


def kept(carried: Any, traces: int) -> Any:
    """What is carried, for the first `traces` traces only: the others have ended."""
    if hasattr(carried, "keep"):
        carried.keep(traces)
        return carried
    for name, value in vars(carried).items():
        if isinstance(value, Tensor) and value.dim():
            setattr(carried, name, value[..., :traces])
    return carried


@dataclass(frozen=True, init=False)
class Fifo(Structure):
    """Servers that each work off their jobs in the order in which they came.

    Args:
        servers: How many there are.
        unit: The unit of time, in which work is measured, too.

    Raises:
        DeclarationError: The number of servers is no whole number of at least 1.

    Example:
        A job of 30 ms on server 1, another of 20 ms, and 35 ms later one of them is left, with
        15 ms to go.

        >>> import torch
        >>> queues = Fifo(2, "ms").start((1,))
        >>> one = torch.tensor([1])
        >>> queues = queues.push(one, torch.tensor([30.0])).push(one, torch.tensor([20.0]))
        >>> queues = queues.after(torch.tensor([35.0]))
        >>> queues.waiting.tolist(), queues.backlog.tolist()
        ([[0.0, 1.0]], [[0.0, 15.0]])
    """

    servers: int = 1

    name: ClassVar[str] = "first come, first served"

    def __init__(self, servers: int, unit: str = "ms") -> None:
        if isinstance(servers, bool) or not isinstance(servers, int) or servers < 1:
            raise DeclarationError(
                "Fifo",
                found=f"{servers!r} servers",
                mend="Give a whole number of at least 1.",
            )
        object.__setattr__(self, "servers", servers)
        object.__setattr__(self, "unit", unit)
        object.__setattr__(self, "size", None)
        self.__post_init__()

    def start(self, shape: tuple[int, ...]) -> Queues:
        return Queues(shape, servers=self.servers)


_ROOM = 64
"""Jobs of a trace for which a new queue has room."""


class Queues:
    """The queues of `Fifo`, all empty at first.

    A job's end is known when it comes: work does not wait for later jobs. So each server keeps
    the moment at which it falls idle, and its unfinished jobs as a chain from the oldest to the
    newest, through a ring of the last jobs of all traces. A job enters a chain once and
    leaves it once, whatever the length of the queue.

    Jobs are known by their place in the ring. Arrays are `[trace · lead, server]`, the ring
    `[job, trace · lead]`, so that traces which end leave from the end.
    """

    def __init__(self, shape: Sequence[int], *, servers: int) -> None:
        self._lead, self._traces = tuple(shape[:-1]), int(shape[-1])
        self._servers = servers
        self._worlds = int(np.prod(self._lead, dtype=np.int64))
        units = self._traces * self._worlds
        self._units = units
        self._now: NDArray[np.float64] = np.zeros(units)
        self._free: NDArray[np.float64] = np.zeros((units, servers))
        self._count = np.zeros((units, servers))
        self._next_end = np.full((units, servers), np.inf)
        self._oldest = np.zeros((units, servers), dtype=np.int64)
        self._newest = np.zeros((units, servers), dtype=np.int64)
        self._slots = np.arange(units) * servers
        self._each = np.arange(units)
        self._room, self._place, self._until = _ROOM, 0, _ROOM
        # One row more than there is room for: what follows a job that has left is written there.
        self._end = np.zeros((_ROOM + 1, units))
        self._after = np.zeros((_ROOM + 1, units), dtype=np.int32)

    @property
    def waiting(self) -> Tensor:
        """Unfinished jobs on each server, the one in service included, `[..., trace, server]`."""
        return self._shown(self._count.copy())

    @property
    def backlog(self) -> Tensor:
        """Unfinished work on each server in the unit of time, `[..., trace, server]`."""
        left = self._free - self._now[:, None]
        return self._shown(np.maximum(left, 0.0, out=left))

    def wait(self, server: Tensor) -> Tensor:
        """How long a job that joined `server` now would wait for its turn, `[..., trace]`.

        The same as `cs.pick(queues.backlog, server)`, in less time.
        """
        slot = self._slots + self._flat(server)
        left = self._free.reshape(-1).take(slot) - self._now
        found = torch.from_numpy(np.maximum(left, 0.0, out=left))
        return found.reshape(self._traces, *self._lead).movedim(0, -1)

    def push(self, server: Tensor, work: Tensor) -> Queues:
        """Give each trace's `server` one more job now.

        Args:
            server: From 0, `[..., trace]`.
            work: How long it keeps the server busy, `[..., trace]`.
        """
        if self._until == 0:
            self._make_room()
        chosen, busy = self._flat(server).astype(np.int64, copy=False), self._flat(work)
        if chosen.size and (chosen.min() < 0 or chosen.max() >= self._servers):
            raise IndexError(f"a server that is none of 0 to {self._servers - 1}")
        units = self._units
        slot = self._slots + chosen
        free, count = self._free.reshape(-1), self._count.reshape(-1)
        end = np.maximum(free.take(slot), self._now)
        end += busy
        free[slot] = end
        self._end[self._place, :units] = end
        before = count.take(slot)
        newest = self._newest.reshape(-1)
        idle = np.flatnonzero(before == 0)
        follows = newest.take(slot)
        follows[idle] = self._room
        follows *= self._width
        follows += self._each
        self._after.reshape(-1)[follows] = self._place
        newest[slot] = self._place
        first = slot[idle]
        self._oldest.reshape(-1)[first] = self._place
        self._next_end.reshape(-1)[first] = end[idle]
        before += 1
        count[slot] = before
        self._place = (self._place + 1) % self._room
        self._until -= 1
        return self

    def after(self, gap: Tensor) -> Queues:
        """Let time pass.

        Args:
            gap: How much, at least 0, `[..., trace]`.
        """
        self._now = self._now + self._flat(gap)
        count, next_end = self._count.reshape(-1), self._next_end.reshape(-1)
        oldest, width = self._oldest.reshape(-1), self._width
        follows, ends = self._after.reshape(-1), self._end.reshape(-1)
        done = np.flatnonzero(self._next_end <= self._now[:, None])
        while done.size:
            left = count.take(done)
            left -= 1
            count[done] = left
            some = np.flatnonzero(left)
            next_end[done] = np.inf
            done = done[some]
            unit = done // self._servers
            at = oldest.take(done)
            at *= width
            at += unit
            place = follows.take(at)
            oldest[done] = place
            at = place * np.int64(width)
            at += unit
            end = ends.take(at)
            next_end[done] = end
            done = done[end <= self._now.take(unit)]
        return self

    def keep(self, traces: int) -> None:
        """Drop all but the first `traces` traces, which have ended."""
        self._traces, units = traces, traces * self._worlds
        self._units = units
        self._now, self._free, self._count = (
            self._now[:units],
            self._free[:units],
            self._count[:units],
        )
        self._next_end, self._oldest = self._next_end[:units], self._oldest[:units]
        self._newest = self._newest[:units]
        self._slots, self._each = self._slots[:units], self._each[:units]
        if 2 * units < self._width:
            self._lay_out(self._room, units)

    @property
    def _width(self) -> int:
        """The units that the ring has room for."""
        return int(self._end.shape[1])

    def _shown(self, found: NDArray[np.float64]) -> Tensor:
        shape = (self._traces, *self._lead, self._servers)
        value = torch.from_numpy(found).reshape(shape)
        return value if not self._lead else value.movedim(0, -2)

    def _flat(self, value: Tensor) -> NDArray[Any]:
        """A value of each trace, trace by trace, worlds and samples within it."""
        given = torch.as_tensor(value).detach().expand(*self._lead, self._traces)
        flat: NDArray[Any] = given.movedim(-1, 0).reshape(-1).numpy()
        return flat

    def _make_room(self) -> None:
        """Find out how many of the oldest places are free; grow where they are few."""
        age = (self._place - self._oldest[self._count > 0] - 1) % self._room + 1
        oldest = int(age.max()) if age.size else 0
        self._until = self._room - oldest
        if 2 * oldest > self._room:
            self._lay_out(2 * self._room, self._width)
            self._until = self._room - oldest

    def _lay_out(self, room: int, width: int) -> None:
        """Another ring, of `room` jobs and `width` units, oldest jobs first."""
        was, first = self._room, self._place
        ends, follows = np.zeros((room + 1, width)), np.zeros((room + 1, width), dtype=np.int32)
        for old, new in (
            (slice(first, was), slice(0, was - first)),
            (slice(first), slice(was - first, was)),
        ):
            ends[new] = self._end[old, :width]
            turned = np.subtract(self._after[old, :width], first, out=follows[new])
            turned += np.int32(was) * (turned < 0)
        self._oldest, self._newest = (self._oldest - first) % was, (self._newest - first) % was
        self._end, self._after, self._room = ends, follows, room
        self._place = was % room


__all__ = ["Fifo", "Queues", "Structure", "check_structures", "kept"]
