"""Anomaly attribution: which variables' noise made these rows' target anomalous.

Shapley values over the noises of the target and of its causes (Budhathoki, Minorics, Blöbaum and
Janzing, "Causal structure-based root cause analysis of outliers", ICML 2022, section 4), as in
dowhy's `gcm.attribute_anomalies`, whose default scores are the defaults here.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from causalsys.data.read import as_frame, read
from causalsys.data.schema import columns_of, no_column
from causalsys.data.table import Table
from causalsys.engine.base import one_thread
from causalsys.errors import EvidenceError, QueryError
from causalsys.fit.abduct import Abducted, abduct
from causalsys.fit.fitted import Fitted
from causalsys.query.ask import told_by
from causalsys.query.asked import count, named
from causalsys.rootcause.attribution_game import NoiseGame
from causalsys.rootcause.attribution_judged import of_noises
from causalsys.rootcause.attribution_result import AnomalyAttribution, Contributions
from causalsys.rootcause.attribution_score import Measure, Tail
from causalsys.rootcause.attribution_sweep import Sweep
from causalsys.rootcause.shapley import Design, every_coalition, some_orders
from causalsys.scm.supports import Categorical

_FEWEST, _MOST = 4, 32
"""Independent repetitions: below four nothing is known of their error."""
_PAIRS = 16
"""Orders of each repetition, each with its reverse, where there are too many coalitions."""
_EVERY = 10
"""Players up to which every coalition is evaluated."""
_INFERRED = 16
"""Draws of what rows do not tell."""


@one_thread()
def attribute_anomalies(
    fitted: Fitted,
    rows: object,
    *,
    target: str,
    measure: Measure = "surprise",
    tail: Tail = "both",
    draws: int = 3000,
    precision: float = 0.02,
    level: float = 0.9,
    seed: int = 0,
) -> AnomalyAttribution:
    """Which variables' noise made these rows' target anomalous, and how much of it.

    A coalition of variables keeps the noises that the rows had, the others' are drawn anew, and
    what remains of the anomaly is the coalition's value; contributions are the Shapley values.

    Args:
        fitted: A model of normal behaviour, its rows independent.
        rows: The anomalous rows, with a column for every observed cause of the target.
        target: What was anomalous: a number.
        measure: What is attributed. "surprise" is `-log P(as extreme as the row)` in nats; with
            so many `draws` it cannot exceed `log(2 * draws + 1)`. "rank" is the row's rank score
            less its mean (dowhy's `attribute_mean_deviation`). "value" is the row's target less
            its mean, in the target's unit; it does not saturate.
        tail: Which values are extreme: "both", or only "upper" or "lower" ones.
        draws: Draws of the noise per repetition.
        precision: Repeat until no Monte Carlo standard error is larger than this share of the
            row's score (or of 1, where that is larger; for "value", of the target's standard
            deviation), from 4 to 32 times.
        level: The level of the intervals.
        seed: Fixes all draws.

    Returns:
        The contributions `[row, variable]`, which sum to the scores, with intervals.

    Raises:
        UnknownNameError: The model has no such target.
        QueryError: The target is no number, the model has lags or states, or an argument is none
            that can be used.
        MissingColumnError: An observed cause of the target has no column.
        EvidenceError: The target is missing in a row.
        DataError: There are no rows, or they do not fit the model.
        NotIdentifiedError: Graph, shapes and data cannot tell the noises apart.

    Example:
        >>> import causalsys as cs, numpy as np, pandas as pd
        >>> class Chain(cs.SCM):
        ...     x = cs.Observed(cs.Real(), mechanism=cs.Linear())
        ...     y = cs.Observed(cs.Real(), parents=[x], mechanism=cs.Linear())
        >>> rng = np.random.default_rng(0)
        >>> x = rng.normal(size=1000)
        >>> fitted = Chain.fit(pd.DataFrame({"x": x, "y": 2 * x + rng.normal(size=1000)}))
        >>> found = attribute_anomalies(fitted, {"x": [5.0], "y": [10.0]}, target="y")
        >>> bool(found.values[0].argmax() == found.names.index("x"))
        True
        >>> bool(abs(found.values[0].sum() - found.scores[0]) < 1e-9)
        True

    Source: Budhathoki, Minorics, Blöbaum, Janzing (ICML 2022).
    """
    sweep = _sweep(fitted, target)
    draws, seed = count(draws, "draws", least=10), count(seed, "seed", least=0)
    _chosen(measure, "measure", ("surprise", "rank", "value"))
    _chosen(tail, "tail", ("both", "upper", "lower"))
    share(precision, "precision")
    share(level, "level")
    table = _table(fitted, rows, sweep)
    verdict = of_noises(fitted, sweep, told_by(table))
    told = abduct(fitted, table, samples=fitted.members, seed=seed)
    sure = told.told.issuperset(sweep.players)
    found = told if sure else abduct(
        fitted, table, samples=max(fitted.members, _INFERRED), seed=seed
    )  # fmt: skip

    def game(sample: int) -> NoiseGame:
        return _game(found, sweep, sample, draws=draws, measure=measure, tail=tail, seed=seed)

    enough = _until(precision, measure, found.table.values[sweep.target])
    contributions = _played(
        game, fitted, found.samples, sure=sure, seed=seed, enough=enough, level=level
    )
    notes = () if sure else (
        "Rows do not tell the noise of "
        f"{', '.join(n for n in sweep.players if n not in found.told)}: it is drawn given them.",
    )  # fmt: skip
    return AnomalyAttribution(
        sweep.target, measure, contributions, found.table.index, verdict, notes
    )


Enough = Callable[[Tensor, Tensor], bool]


def _played(
    game: Callable[[int], NoiseGame],
    fitted: Fitted,
    samples: int,
    *,
    sure: bool,
    seed: int,
    enough: Enough,
    level: float,
) -> Contributions:
    """Play often enough, and once under every draw of the parameters."""
    players = game(0).sweep.players
    turns: list[Tensor] = []
    totals: list[Tensor] = []
    by_member: list[Tensor] = []
    if sure:
        # The best estimate again and again; then every member, under the draws of the first turn.
        best = game(0)
        for turn in range(_MOST):
            each, total = best.play(design_of(len(players), seed, turn), turn=turn)
            turns, totals = [*turns, each], [*totals, total]
            if turn + 1 >= _FEWEST and enough(torch.stack(turns), torch.stack(totals)):
                break
        first = design_of(len(players), seed, 0)
        others = [game(member).play(first, turn=0)[0] for member in range(1, samples)]
        by_member = [turns[0], *others]
    else:
        for turn in range(samples):
            each, total = game(turn).play(design_of(len(players), seed, turn), turn=turn)
            turns, totals = [*turns, each], [*totals, total]
        by_member = turns
    stacked = torch.stack(turns)
    error = stacked.std(0) / len(turns) ** 0.5
    return Contributions(
        players,
        stacked.mean(0).T.numpy(),
        torch.stack(totals).mean(0).numpy(),
        error.T.numpy(),
        len(turns),
        torch.stack(by_member).mT.numpy(),
        fitted.members,
        level,
    )


def design_of(players: int, seed: int, turn: int) -> Design:
    """Which coalitions a repetition evaluates: all, or those along orders of its own."""
    if players <= _EVERY:
        return every_coalition(players)
    generator = np.random.default_rng(zlib.crc32(f"{seed}/orders/{turn}".encode()))
    return some_orders(players, pairs=_PAIRS, generator=generator)


def _until(precision: float, measure: Measure, target: Tensor) -> Enough:
    """When chance has been averaged out."""

    def enough(turns: Tensor, totals: Tensor) -> bool:
        size = totals.mean(0).abs()
        least = totals.std(0).max() if measure == "value" else size.new_ones(())
        error = turns.std(0) / len(turns) ** 0.5
        return bool((error <= precision * size.clamp(min=float(least))).all())

    return enough


def _game(
    found: Abducted,
    sweep: Sweep,
    sample: int,
    *,
    draws: int,
    measure: Measure,
    tail: Tail,
    seed: int,
) -> NoiseGame:
    """The game of one draw of the parameters, and of what rows do not tell."""
    index = torch.tensor([sample])
    everything = slice(0, found.table.rows)
    own: dict[str, Tensor] = {}
    for node in sweep.nodes:
        if node.learned:
            noise = found.noise_of(node, everything)
            own[node.name] = noise[sample if len(noise) > 1 else 0]
    seen = found.table.values[sweep.target]
    return NoiseGame(
        sweep,
        {name: found.mechanisms[name].members(index) for name in sweep.players},
        own,
        seen[sample if len(seen) > 1 else 0].double(),
        draws,
        measure,
        tail,
        seed,
    )


def _sweep(fitted: Fitted, target: str) -> Sweep:
    """The target and its causes, if it is one whose anomalies can be attributed."""
    name = fitted.node(named(target)).name
    support = fitted.schema.supports[name]
    if isinstance(support, Categorical) or support.size:
        kind = "a vector" if support.size else "a category"
        raise QueryError(
            name, found=f"{kind} as the target", mend="Name a number: its values have an order."
        )
    if fitted.declaration.temporal:
        raise QueryError(
            name,
            found=f"a target of {fitted.declaration.name}, which has lags or states",
            mend="Declare a model of independent rows; earlier values may be columns of their own.",
        )
    if fitted.node(name).kind == "latent":
        raise QueryError(
            name, found="a latent as the target", mend="Name something that is logged."
        )
    found = Sweep.to(name, fitted.schema)
    if not found.players:
        raise QueryError(
            name, found="nothing learned among its causes", mend="Name a variable with noise."
        )
    return found


def _table(fitted: Fitted, rows: object, sweep: Sweep) -> Table:
    """The rows, every observed cause of the target having its column.

    Raises:
        MissingColumnError: One has none.
        EvidenceError: The target is missing in a row.
    """
    frame, _ = as_frame(rows, what="rows")
    for node in sweep.nodes:
        if node.learned and node.kind != "latent":
            for column in columns_of(node):
                if column not in frame.columns:
                    raise no_column(node.name, column, frame.columns)
    table = read(fitted.schema, rows, purpose="evidence")
    if sweep.target not in table.values or sweep.target in table.missing:
        raise EvidenceError(
            sweep.target, found="missing in a row", mend="Drop the rows without the target."
        )
    return table


def _chosen(given: object, name: str, known: tuple[str, ...]) -> None:
    if given not in known:
        raise QueryError(name, found=repr(given), mend=f"Give one of {', '.join(known)}.")


def share(given: object, name: str) -> None:
    """Refuse what is no number between 0 and 1.

    Raises:
        QueryError: It is none.
    """
    if isinstance(given, bool) or not isinstance(given, int | float) or not 0 < given < 1:
        raise QueryError(name, found=repr(given), mend="Give a number between 0 and 1.")


__all__ = ["attribute_anomalies"]
