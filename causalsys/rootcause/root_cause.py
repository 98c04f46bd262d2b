"""Which mechanism changed: one incident, from its rows to a finding."""

from __future__ import annotations

import torch

from causalsys.engine.base import one_thread
from causalsys.errors import QueryError
from causalsys.fit.fitted import Fitted
from causalsys.query.asked import count
from causalsys.rootcause.changes import draw_changes
from causalsys.rootcause.contributions import contributions
from causalsys.rootcause.evidence import evidence, evidence_again, log_bayes_factor_moved
from causalsys.rootcause.finding import Finding
from causalsys.rootcause.periods import read_periods
from causalsys.rootcause.ranking import ranked
from causalsys.rootcause.suspects import suspects
from causalsys.rootcause.unguided import unguided
from causalsys.rootcause.window import window_of, with_edges

_SEEDS = 2**63


@one_thread()
def root_cause(
    fitted: Fitted,
    incident: object,
    *,
    target: str | None = None,
    normal: object = None,
    draws: int = 300,
    seed: int = 0,
) -> Finding:
    """Name the mechanisms that changed, with probabilities, or say that none did.

    Args:
        fitted: The model, fitted to normal rows.
        incident: The rows of the incident, in their order; best with some from before the fault.
        target: What alarmed: one logged number. Without one, what changed most is blamed.
        normal: Normal rows in their order, from which scale, drift and tails are estimated; by
            default rows drawn from the model, which knows no drift.
        draws: How many draws the probabilities are shares of.
        seed: Fixes the draws.

    Returns:
        The finding; read `finding.ranking`, or print it.

    Raises:
        EvidenceError: The rows do not fit the model, are in both periods, or say nothing of the
            target.
        QueryError: The model has states or lags, or the target is no logged number.
        UnknownNameError: The target is not in the model.

    Example:
        >>> import causalsys as cs, numpy as np, pandas as pd
        >>> rng = np.random.default_rng(0)
        >>> def rows(count, fault=0.0):
        ...     pay, cart = rng.normal(50, 2, count) + fault, rng.normal(30, 2, count)
        ...     page = pay + cart + rng.normal(10, 1, count)
        ...     return pd.DataFrame({"pay": pay, "cart": cart, "page": page})
        >>> normal, incident = rows(400), rows(10, fault=np.repeat([0, 40], [3, 7]))
        >>> ms = cs.Observed(cs.Real("ms"), mechanism=cs.Linear())
        >>> model = cs.SCM.from_graph([("pay", "page"), ("cart", "page")], default=ms)
        >>> found = root_cause(model.fit(normal), incident, target="page", normal=normal)
        >>> found.ranking[0].name, found.alarm, found.ranking[0].share > 0.9
        ('pay', True, True)

    Source: the design is told in docs/root_cause.md; its parts, each with its source, in the
        modules that this one calls.
    """
    draws, seed = count(draws, "draws"), count(seed, "seed", least=0)
    if seed >= _SEEDS:
        raise QueryError("seed", found=repr(seed), mend="Give one below 2 to the power of 63.")
    periods = read_periods(fitted, incident, normal=normal, target=target, seed=seed)
    window = window_of(fitted, periods, target=target)
    if target is None:
        return unguided(window, periods)
    found = evidence(window)
    edges = suspects(window, found)
    suspected = tuple((window.names[cause], window.names[effect]) for cause, effect in edges)
    if edges:
        before, window = window, with_edges(window, edges)
        found = evidence_again(window, before, found, {effect for _, effect in suspected})
    generator = torch.Generator().manual_seed(seed)
    changes = draw_changes(window, found, draws=draws, generator=generator)
    parts = contributions(window, found, changes.changed, generator=generator)
    return ranked(
        window,
        periods,
        evidence=found,
        changes=changes,
        parts=parts,
        log_odds=log_bayes_factor_moved(window),
        suspects=suspected,
    )


__all__ = ["root_cause"]
