"""Anomaly attribution: which variables' noise made these rows' target anomalous.

Shapley values over the noises of the target and of its causes (Budhathoki, Minorics, Blöbaum and
Janzing, "Causal structure-based root cause analysis of outliers", ICML 2022, section 4), as in
dowhy's `gcm.attribute_anomalies`, whose default scores are the defaults here.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from causalsys.data.read import read
from causalsys.data.table import Table
from causalsys.engine.base import one_thread
from causalsys.errors import EvidenceError
from causalsys.fit.abduct import Abducted, abduct
from causalsys.fit.fitted import Fitted
from causalsys.query.ask import told_by
from causalsys.query.asked import count, share
from causalsys.rootcause.attribution_asked import (
    asked_word,
    checked_columns,
    target_of,
)
from causalsys.rootcause.attribution_game import NoiseGame
from causalsys.rootcause.attribution_judged import of_noises
from causalsys.rootcause.attribution_result import AnomalyAttribution, ShapleyValues
from causalsys.rootcause.attribution_score import Measure, Tail
from causalsys.rootcause.attribution_sweep import Sweep
from causalsys.rootcause.attribution_turns import design_of, repeated

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
        precision: Repeat, from 4 to 32 times, until the Monte Carlo standard errors are on the
            whole (by their root mean square) no larger than this share of the row's score; a
            score counts as 1 at least, and for "value" as the target's standard deviation.
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
    sweep = Sweep.to(target_of(fitted, target), fitted.schema)
    draws, seed = count(draws, "draws", least=10), count(seed, "seed", least=0)
    asked_word(measure, "measure", ("surprise", "rank", "value"))
    asked_word(tail, "tail", ("both", "upper", "lower"))
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

    contributions = _played(
        game,
        fitted.members,
        found.samples,
        sure=sure,
        least=game(0).spread if measure == "value" else 1.0,
        precision=precision,
        level=level,
        seed=seed,
    )
    notes = () if sure else (
        "Rows do not tell the noise of "
        f"{', '.join(n for n in sweep.players if n not in found.told)}: it is drawn given them.",
    )  # fmt: skip
    return AnomalyAttribution(
        sweep.target, measure, contributions, found.table.index, verdict, notes
    )


def _played(
    game: Callable[[int], NoiseGame],
    members: int,
    samples: int,
    *,
    sure: bool,
    least: float,
    precision: float,
    level: float,
    seed: int,
) -> ShapleyValues:
    """Play often enough, and once under every draw of the parameters."""
    best = game(0)
    players = best.sweep.players

    def play(sample: int, turn: int) -> tuple[Tensor, Tensor]:
        of = best if sample == 0 else game(sample)
        return of.play(design_of(len(players), seed, turn), turn=turn)

    if sure:
        # The best estimate again and again; then every member, under the draws of the first turn.
        turns, totals = repeated(lambda turn: play(0, turn), precision=precision, least=least)
        others = [play(member, 0)[0] for member in range(1, samples)]
        by_member = torch.stack([turns[0], *others])
    else:
        played = [play(sample, sample) for sample in range(samples)]
        turns = by_member = torch.stack([each for each, _ in played])
        totals = torch.stack([total for _, total in played])
    return ShapleyValues(
        players,
        turns.mean(0).T.numpy(),
        totals.mean(0).numpy(),
        (turns.std(0) / len(turns) ** 0.5).T.numpy(),
        len(turns),
        by_member.mT.numpy(),
        members,
        level,
    )


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


def _table(fitted: Fitted, rows: object, sweep: Sweep) -> Table:
    """The rows, every observed cause of the target having its column.

    Raises:
        MissingColumnError: One has none.
        EvidenceError: The target is missing in a row.
    """
    checked_columns(rows, sweep)
    table = read(fitted.schema, rows, purpose="evidence")
    if sweep.target not in table.values or sweep.target in table.missing:
        raise EvidenceError(
            sweep.target, found="missing in a row", mend="Drop the rows without the target."
        )
    return table


__all__ = ["attribute_anomalies"]
