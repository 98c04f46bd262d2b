"""When a guard takes over, and when it gives back: hysteresis.

A single odd step is no reason to change the policy, and a policy that has just failed is not to be
trusted at the first step that looks well. Changing to and fro costs more than either policy: the
objective of a stream, for one, counts changes. So there are three numbers, as in a circuit breaker
(Nygard, Release It!, 2nd ed. 2018, section 5.2) or a Schmitt trigger.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from causalsys.errors import InterventionError


@dataclass(frozen=True)
class Hold:
    """The hysteresis of a guard.

    Args:
        trip: How many alarmed steps, of the last `of`, make the guard take over.
        of: How many steps are looked back at, this one included.
        least: For how many steps it then holds, at least.
        clean: How many steps without an alarm, one after the other and this one included, must
            have passed before it gives back.

    Raises:
        InterventionError: A number is none, or more alarms are wanted than there are steps.

    Example:
        >>> hold, state = Hold(trip=2, of=3, least=2, clean=2), None
        >>> alarms = [True, False, True, False, False, False]
        >>> for alarm in alarms:
        ...     state = hold.step(state, torch.tensor([alarm]))
        ...     print(bool(state.active), end=" ")
        False False True True False False
    """

    trip: int = 1
    of: int = 1
    least: int = 5
    clean: int = 3

    def __post_init__(self) -> None:
        for name in ("trip", "of", "least", "clean"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise InterventionError(
                    name, found=f"{value!r} steps", mend="Give a whole number of at least 1."
                )
        if self.trip > self.of:
            raise InterventionError(
                "trip",
                found=f"{self.trip} alarms wanted of {self.of} steps",
                mend="Look back at as many steps at least.",
            )

    def step(self, state: Held | None, alarm: Tensor) -> Held:
        """The state after one more step.

        Args:
            state: That after the last step; None at first.
            alarm: Whether a rail objects, boolean `[..., trace]`.
        """
        if state is None:
            quiet = torch.zeros_like(alarm)
            none = torch.zeros_like(alarm, dtype=torch.int64)
            state = Held(
                quiet, quiet, none, none, quiet.unsqueeze(-1).expand(*alarm.shape, self.of)
            )
        recent = torch.cat([state.recent[..., 1:], alarm.unsqueeze(-1)], -1)
        clean = torch.where(alarm, 0, state.clean + 1)
        stays = state.active & ((state.held < self.least) | (clean < self.clean))
        trips = ~stays & (recent.sum(-1) >= self.trip)
        active = stays | trips
        held = torch.where(trips, 1, torch.where(stays, state.held + 1, 0))
        # Alarms that made it take over once do not make it take over again.
        recent = recent & ~(state.active & ~active).unsqueeze(-1)
        return Held(active, trips & ~state.active, held, clean, recent)


class Held(NamedTuple):
    """What hysteresis remembers; each `[..., trace]`.

    Attributes:
        active: Whether the fallback decides.
        tripped: Whether it took over in this step.
        held: For how many steps it has decided.
        clean: For how many steps no rail has objected.
        recent: Whether rails objected in the last steps, `[..., trace, step]`.
    """

    active: Tensor
    tripped: Tensor
    held: Tensor
    clean: Tensor
    recent: Tensor


__all__ = ["Held", "Hold"]
