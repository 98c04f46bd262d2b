"""Why a distribution changed: which variables' mechanisms changed it, and how much each.

Mechanisms of the old period are exchanged for those of the new one, coalition by coalition;
contributions are the Shapley values of what that changes in the target's distribution (Budhathoki,
Janzing, Blöbaum and Ng, "Why did the distribution change?", AISTATS 2021), as in dowhy's
`gcm.distribution_change`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from causalsys.data.read import as_frame, read
from causalsys.engine.base import one_thread
from causalsys.errors import QueryError
from causalsys.fit.fit import refit
from causalsys.fit.fitted import Fitted
from causalsys.fit.options import FitOptions
from causalsys.query.asked import count, named, share
from causalsys.rootcause.attribution_asked import checked_columns, target_of
from causalsys.rootcause.attribution_changed import p_values, rejected
from causalsys.rootcause.attribution_exchange import MechanismGame
from causalsys.rootcause.attribution_functional import Functional, Measured
from causalsys.rootcause.attribution_judged import of_mechanisms
from causalsys.rootcause.attribution_result import ChangeAttribution, ShapleyValues
from causalsys.rootcause.attribution_sweep import Sweep
from causalsys.rootcause.attribution_turns import design_of, repeated


@one_thread()
def attribute_change(
    fitted: Fitted,
    new: object,
    *,
    target: str,
    measure: Measured | float = "mean",
    old: object = None,
    changed: Sequence[str] | None = None,
    significance: float = 0.05,
    draws: int = 2000,
    precision: float = 0.02,
    level: float = 0.9,
    seed: int = 0,
) -> ChangeAttribution:
    """Which mechanisms changed the distribution of a target between two periods.

    Args:
        fitted: A model of the old period, its rows independent.
        new: The rows of the new period: the mechanisms that may have changed are refitted to
            them, the others stay. Or a model of the new period, of the same declaration.
        target: The variable whose distribution changed: a number.
        measure: What of it: "mean", "variance", a quantile such as 0.99, or "kl", the divergence
            of the old from the new distribution in nats (dowhy's default).
        old: The rows of the old period: with them it is tested which mechanisms changed.
        changed: Which variables' mechanisms may have changed. By default those that the test
            finds, where `old` is given; all of them otherwise.
        significance: The test's rate of false discoveries.
        draws: Draws of the noise per repetition.
        precision: Repeat, from 4 to 32 times, until the Monte Carlo standard errors are on the
            whole no larger than this share of the change; it counts as at least a tenth of the old
            period's standard deviation (or variance), or as 0.1 nats.
        level: The level of the intervals.
        seed: Fixes all draws.

    Returns:
        The contributions by variable, which sum to the whole change as the models have it, with
        intervals. A mechanism that did not change contributes nothing.

    Raises:
        UnknownNameError: The model has no such target, or no such variable as in `changed`.
        QueryError: The target is no number, the model has lags or states, the two models differ
            in what they declare, or an argument is none that can be used.
        DataError: The new rows do not fit the model; see its subclasses.
        FitError: A mechanism cannot be fitted to the new rows.
        NotIdentifiedError: Graph, shapes and data cannot tell the mechanisms apart.

    Example:
        >>> import causalsys as cs, numpy as np, pandas as pd
        >>> class Chain(cs.SCM):
        ...     x = cs.Observed(cs.Real(), mechanism=cs.Linear())
        ...     y = cs.Observed(cs.Real(), parents=[x], mechanism=cs.Linear())
        >>> rng = np.random.default_rng(0)
        >>> x = rng.normal(size=2000)
        >>> old = pd.DataFrame({"x": x, "y": 2 * x + rng.normal(size=2000)})
        >>> new = pd.DataFrame({"x": x, "y": 2 * x + 3 + rng.normal(size=2000)})
        >>> found = attribute_change(Chain.fit(old), new, target="y", old=old)
        >>> found.changed
        {'x': False, 'y': True}
        >>> 2.8 < found.values["y"] < 3.2
        True

    Source: Budhathoki, Janzing, Blöbaum, Ng (AISTATS 2021).
    """
    name = target_of(fitted, target)
    sweep = Sweep.to(name, fitted.schema)
    functional = Functional.of(measure, fitted.schema.supports[name], name)
    draws, seed = count(draws, "draws", least=10), count(seed, "seed", least=0)
    for given, what in ((significance, "significance"), (precision, "precision"), (level, "level")):
        share(given, what)
    if changed is not None:
        changed = _named(fitted, changed)
    tested: dict[str, float] = {}
    notes: tuple[str, ...] = ()
    if isinstance(new, Fitted):
        later = _same(fitted, new)
        players = [n for n in sweep.players if changed is None or n in changed]
    else:
        later, players, tested = _refitted(
            fitted, new, sweep, old=old, changed=changed, significance=significance, seed=seed
        )
    verdict = of_mechanisms(fitted, sweep, players)
    game = MechanismGame(sweep, fitted, later, tuple(players), functional, draws, seed)
    contributions = _played(game, precision=precision, level=level)
    if not isinstance(new, Fitted):
        notes = _seen(game, new, functional)
    return ChangeAttribution(
        name,
        functional.words,
        contributions,
        {each: each in players for each in sweep.players},
        tested,
        verdict,
        notes,
    )


def _played(game: MechanismGame, *, precision: float, level: float) -> ShapleyValues:
    """Play often enough, and once under every member."""
    sweep, members = game.sweep, game.old.members
    places = [sweep.players.index(name) for name in game.players]
    shape = (len(sweep.players), 1)
    if not game.players:
        none = np.zeros((1, len(sweep.players)))
        by = np.zeros((members, 1, len(sweep.players)))
        return ShapleyValues(sweep.players, none, np.zeros(1), none, 2, by, members, level)
    least = game.functional.least(game.marginal(game.old))

    def play(turn: int) -> tuple[Tensor, Tensor]:
        design = design_of(len(game.players), game.seed, turn)
        each, total = game.play(design, turn=turn, members=torch.tensor([0]))
        return _placed(each, places, shape), total

    turns, totals = repeated(play, precision=precision, least=least)
    first = design_of(len(game.players), game.seed, 0)
    every, _ = game.play(first, turn=0, members=torch.arange(members))
    by_member = torch.stack([_placed(each[:, None], places, shape) for each in every.T])
    return ShapleyValues(
        sweep.players,
        turns.mean(0).T.numpy(),
        totals.mean(0).numpy(),
        (turns.std(0) / len(turns) ** 0.5).T.numpy(),
        len(turns),
        by_member.mT.numpy(),
        members,
        level,
    )


def _placed(some: Tensor, places: list[int], shape: tuple[int, int]) -> Tensor:
    """ShapleyValues of the players among those of all variables."""
    found = some.new_zeros(shape)
    found[places] = some
    return found


def _refitted(
    fitted: Fitted,
    rows: object,
    sweep: Sweep,
    *,
    old: object,
    changed: Sequence[str] | None,
    significance: float,
    seed: int,
) -> tuple[Fitted, list[str], dict[str, float]]:
    """The new period's model: what changed is refitted, all else is as it was."""
    checked_columns(rows, sweep)
    tested: dict[str, float] = {}
    found = frozenset(sweep.players) if changed is None else frozenset(changed)
    if changed is None and old is not None:
        now, before = read(fitted.schema, rows), read(fitted.schema, old)
        tested = p_values(fitted, now, before, names=sweep.players, seed=seed)
        # What could not be tested, behind a latent, may have changed.
        found = rejected(tested, significance) | (set(sweep.players) - set(tested))
    players = [name for name in sweep.players if name in found]
    if not players:
        return fitted, players, tested
    options = FitOptions(seed, fitted.members)
    later = refit(fitted, rows, only=players, options=options)
    return later, players, tested


def _same(old: Fitted, new: Fitted) -> Fitted:
    """The new period's model, if it is one of the same declaration."""
    same = old.declaration.nodes.keys() == new.declaration.nodes.keys() and all(
        node.parents == new.declaration.nodes[name].parents
        and (node.function is None) == (new.declaration.nodes[name].function is None)
        for name, node in old.declaration.nodes.items()
    )
    if not same:
        raise QueryError(
            "new",
            found=f"a model of {new.declaration.name}, whose graph is another one",
            mend="Fit the same model to the rows of the new period.",
        )
    for name, support in old.schema.supports.items():
        if support != new.schema.supports[name]:
            raise QueryError(
                name,
                found=f"{new.schema.supports[name]} in the new model and {support} in the old",
                mend="Declare its levels, or give the new period's rows.",
            )
    if old.members != new.members:
        raise QueryError(
            "new",
            found=f"{new.members} members, and {old.members} in the old model",
            mend="Fit both with the same ensemble=.",
        )
    return new


def _named(fitted: Fitted, changed: Sequence[str]) -> list[str]:
    if isinstance(changed, str):
        raise QueryError("changed", found=repr(changed), mend=f"Give a list: [{changed!r}].")
    for name in changed:
        fitted.mechanism(named(name))
    return [fitted.node(named(name)).name for name in changed]


def _seen(game: MechanismGame, rows: object, functional: Functional) -> tuple[str, ...]:
    """How well the new model tells the new rows' own measure."""
    if functional.divergence:
        return ()
    frame, _ = as_frame(rows, what="rows")
    name = game.sweep.target
    seen = torch.as_tensor(frame[name].dropna().to_numpy(dtype=float, copy=True))
    own, told = functional.plain(seen), functional.plain(game.marginal(game.new))
    return (
        f"The new rows' own {functional.words} of {name} is {own:.4g}; the model's, {told:.4g}.",
    )


__all__ = ["attribute_change"]
