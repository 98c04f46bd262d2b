"""Posterior draws of unknown noises by annealing, for any mechanisms, all rows at once.

Every noise has a known law, so in normal coordinates the prior is standard normal and the
preconditioned Crank-Nicolson move `n' = sqrt(1 - b²) n + b ξ` leaves it invariant: only the
likelihood decides on acceptance (Cotter, Roberts, Stuart and White, 2013). The likelihood is
raised from power 0 to 1 along the way, and each row's step is tuned to its acceptance, so that
rows with sharp and with vague evidence are served by one batch.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from causalsys.fit.joint import Scope
from causalsys.mechanisms.base import gumbel_of_normal, normal_of_gumbel

_RISING = 60
_LEVEL = 60
_WANTED = 0.35
"""Acceptance at which random walks of few dimensions mix fastest (Roberts and Rosenthal, 2001)."""


def anneal(
    scope: Scope, noises: Mapping[str, Tensor], *, generator: torch.Generator
) -> dict[str, Tensor]:
    """Draw noises from their posterior given the scope's known values.

    Args:
        scope: The unknown variables and the known ones they decide.
        noises: Draws from the prior, `[sample, row, *noise_shape]`.
        generator: Fixes the draws.

    Returns:
        Noises shaped alike.
    """
    laws = {name: scope.mechanisms[name].noise for name in noises}
    normal = {n: normal_of_gumbel(x) if laws[n] == "gumbel" else x for n, x in noises.items()}
    traced = {node.name for node in scope.nodes if node.per == "trace" and node.name in noises}
    trace = scope.layout.trace
    firsts = scope.layout.first_rows[trace]

    def natural(values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {n: gumbel_of_normal(x) if laws[n] == "gumbel" else x for n, x in values.items()}

    def likelihood(values: Mapping[str, Tensor]) -> Tensor:
        _, rows = scope.sweep(natural(values))
        rows = torch.nan_to_num(rows, nan=-torch.inf)
        if not traced:
            return rows
        total = rows.new_zeros(*rows.shape[:-1], scope.layout.traces)
        return total.index_add(-1, trace, rows).index_select(-1, trace)

    shape = next(iter(noises.values())).shape[:2]
    current = likelihood(normal).expand(shape)
    log_step = torch.full(shape[1:], -0.5, dtype=torch.float64)
    for turn in range(_RISING + _LEVEL):
        power = min(1.0, ((turn + 1) / _RISING) ** 3)
        step = torch.exp(log_step).clamp(max=1.0)
        proposed = {
            name: _moved(value, step, firsts if name in traced else None, generator)
            for name, value in normal.items()
        }
        fresh = likelihood(proposed).expand(shape)
        draw = torch.rand(shape, generator=generator, dtype=torch.float64).log()
        if traced:
            draw = draw[:, firsts]
        accept = (draw < power * (fresh - current)) | ~torch.isfinite(current)
        current = torch.where(accept, fresh, current)
        for name, value in normal.items():
            wide = accept.reshape(*shape, *[1] * (value.dim() - 2))
            normal[name] = torch.where(wide, proposed[name], value)
        rate = accept.double().mean(0)
        log_step = (log_step + 0.3 * (rate - _WANTED)).clamp(-12, 0)
    return natural(normal)


def _moved(
    value: Tensor, step: Tensor, firsts: Tensor | None, generator: torch.Generator
) -> Tensor:
    """A Crank-Nicolson move; rows move with their trace's first one where `firsts` is given."""
    fresh = torch.randn(value.shape, generator=generator, dtype=value.dtype)
    if firsts is not None:
        fresh, step = fresh[:, firsts], step[firsts]
    wide = step.reshape(1, -1, *[1] * (value.dim() - 2))
    return torch.sqrt(1 - wide**2) * value + wide * fresh
