"""`cs.monitor`: a sequential test of every mechanism, so that the alarm names what changed."""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from causalsys.data.apart import check_apart
from causalsys.data.read import as_frame
from causalsys.detect.crossed import crossed
from causalsys.detect.loss import real_numbers
from causalsys.detect.monitoring import Alarm, Monitoring
from causalsys.detect.noises import noises, watched
from causalsys.detect.scores import Values
from causalsys.detect.watch import FEWEST, Found, Watch, watch
from causalsys.engine.base import one_thread
from causalsys.errors import EvidenceError, QueryError
from causalsys.fit.fitted import Fitted
from causalsys.query.asked import count, fitted_model, share

if TYPE_CHECKING:
    import pandas as pd

_WIDE = 0.45
"""A mean of ranks that may go so far leaves nothing to be seen."""
_FAR = 0.75
"""From so many deviations on, what is tolerated is said."""


@one_thread()
def monitor(
    fitted: Fitted,
    rows: object,
    *,
    normal: object,
    nodes: Sequence[str] | None = None,
    errors: Mapping[str, tuple[object, object]] | None = None,
    false_alarms: float = 0.01,
    per: int | Literal["run"] = "run",
    folds: int = 5,
    drift: bool = True,
    reset: bool = False,
    seed: int = 0,
) -> Monitoring:
    """Watch a system row by row, and name the node that changed.

    Each value becomes a uniform number, its own noise given its causes (`noises`), and ranks
    among those of the normal period. Bets are made against "their location, their scale and the
    shares in their tails move no further than in the normal period"; the evidence is what the
    bets gain. How far they move in the normal period is estimated from blocks of its rows, and
    every window that is averaged has a tolerance of its own. See `drift.py` and `bets.py`.

    The stated rate, `false_alarms`, is the chance of any alarm of any node in `per` rows. Half
    of it is for drift that leaves its tolerance (a normal autoregression, whose memory is at
    most a sixth of the normal period), half for chance. A slower drift is a change, and raises
    an alarm. Nodes are corrected for; the scores and windows of one node are not, for they drift
    together: that their rate holds is measured (benchmark "alarm"), not proven.

    Args:
        fitted: The model. Rows must not depend on each other: no lags, no states.
        rows: The rows to watch, in time order: a frame or a mapping of columns. Cells may be
            missing: no evidence.
        normal: Rows from when all was well, in time order, at least 100.
        nodes: Which variables; by default every logged variable that was learned.
        errors: What else is watched, by name: its values in the normal rows and in the rows,
            such as the errors of a predictor. They are ranked as they are, so give normal rows
            that the predictor was not fitted to, or too much to be told apart from them.
        false_alarms: The chance of a false alarm, all nodes together.
        per: In so many rows; "run" means these rows.
        folds: The normal rows are judged in so many parts, each by a model that is refitted
            without it. 0 where the model was not fitted to them: it then judges them itself.
        drift: Whether the drift of the normal period is tolerated. Without, nothing may move.
        reset: Whether a node is watched anew after its alarm. Otherwise it has one alarm.
        seed: Fixes how ties are broken, and draws.

    Raises:
        QueryError: The model has lags or states, or an argument cannot be.
        EvidenceError: The rows do not fit the model, are not in time order, are in both periods,
            or are too few.
        UnknownNameError: A node is not in the model.

    Example:
        >>> import numpy as np
        >>> import causalsys as cs
        >>> class Server(cs.SCM):
        ...     load = cs.Observed(cs.Real())
        ...     delay = cs.Observed(cs.Real(), parents=["load"], mechanism=cs.Linear())
        >>> draw = np.random.default_rng(0)
        >>> load = draw.normal(size=1200)
        >>> delay = 2 * load + draw.normal(size=1200)
        >>> delay[900:] += 2
        >>> before = {"load": load[:800], "delay": delay[:800]}
        >>> later = {"load": load[800:], "delay": delay[800:]}
        >>> found = monitor(Server.fit(before), later, normal=before)
        >>> [alarm.node for alarm in found.alarms]
        ['delay']
    """
    fitted, seed = fitted_model(fitted), count(seed, "seed", least=0)
    _check(false_alarms, per, folds)
    chosen = watched(fitted, nodes)
    usual, later = _in_order(normal, "normal"), _in_order(rows, "rows")
    _check_periods(later, usual, fewest=max(FEWEST, folds))
    wanted, chosen = chosen, _present(chosen, nodes, usual, later)
    plain = [frame.reset_index(drop=True) for frame in (usual, later)]
    here = noises(fitted, plain[1], nodes=chosen, seed=seed) if chosen else None
    before = crossed(fitted, plain[0], nodes=chosen, folds=folds, seed=seed) if chosen else {}
    streams = (
        {name: (_normal(before[name]), _normal(here.values[name])) for name in chosen}
        if here
        else {}
    )
    streams |= _further(errors, chosen, len(usual), len(later))
    if not streams:
        raise QueryError("nodes", found="nothing to watch", mend="Name a variable, or an error.")
    length = len(later) if per == "run" else per
    watches = {
        name: _watch(
            name,
            normal_values,
            values,
            false_alarms=false_alarms,
            per=length,
            streams=len(streams),
            drift=drift,
            seed=seed,
        )
        for name, (normal_values, values) in streams.items()
    }
    shared = {name: here.shared[name] for name in chosen} if here else {}
    found = _result(watches, later.index, false_alarms, length, reset=reset, shared=shared)
    return replace(found, notes=(*found.notes, *_left_out(wanted, chosen)))


def _normal(uniform: Values) -> Values:
    """Noises on the scale of the mechanism's own, on which a drift is a shift."""
    from scipy.special import ndtri

    return np.asarray(ndtri(uniform))


def _check(false_alarms: float, per: int | str, folds: int) -> None:
    share(false_alarms, "false_alarms")
    whole = isinstance(per, int) and not isinstance(per, bool) and per >= 1
    if per != "run" and not whole:
        raise QueryError("per", found=repr(per), mend='Give a number of rows, or "run".')
    if isinstance(folds, bool) or not isinstance(folds, int) or folds < 0 or folds == 1:
        raise QueryError("folds", found=repr(folds), mend="Give 0, or a whole number from 2.")


def _in_order(rows: object, what: str) -> pd.DataFrame:
    """The rows as a frame, labels kept (times may repeat), in time order."""
    import pandas as pd

    if isinstance(rows, pd.DataFrame):
        as_frame(rows.reset_index(drop=True), what=what)
        frame = rows
    else:
        frame = as_frame(rows, what=what)[0]
    ordered = isinstance(frame.index, pd.DatetimeIndex) or pd.api.types.is_numeric_dtype(
        frame.index.dtype
    )
    if ordered and not frame.index.is_monotonic_increasing:
        raise EvidenceError(
            what,
            found="an index that is not in order, and a change has a time",
            mend="Sort by time: rows.sort_index().",
        )
    return frame


def _check_periods(later: pd.DataFrame, usual: pd.DataFrame, *, fewest: int) -> None:
    import pandas as pd

    if len(usual) < fewest:
        raise EvidenceError(
            "normal",
            found=f"{len(usual)} rows",
            mend=f"Give at least {fewest}: what drift is normal is told from them.",
        )
    check_apart(later, usual, what="rows")
    dates = all(isinstance(each.index, pd.DatetimeIndex) for each in (later, usual))
    zones = {getattr(each.index, "tz", None) is None for each in (later, usual)}
    if dates and len(zones) > 1:
        raise EvidenceError(
            "rows",
            found="times with a time zone in one period, and without in the other",
            mend='Give both the same: rows.tz_localize("UTC").',
        )
    if dates and usual.index[0] <= later.index[-1] and later.index[0] <= usual.index[-1]:
        raise EvidenceError(
            "rows",
            found=f"from {later.index[0]}, while the normal period lasts until {usual.index[-1]}",
            mend="Give periods that do not overlap.",
        )


def _present(
    chosen: tuple[str, ...],
    asked: Sequence[str] | None,
    usual: pd.DataFrame,
    later: pd.DataFrame,
) -> tuple[str, ...]:
    """The variables that both periods have."""
    lacking = [name for name in chosen if name not in usual or name not in later]
    if lacking and asked is not None:
        raise EvidenceError(
            lacking[0],
            found="no column in one of the periods",
            mend="Give it in both, or leave it out of `nodes`.",
        )
    return tuple(name for name in chosen if name not in lacking)


def _further(
    errors: Mapping[str, tuple[object, object]] | None,
    chosen: Sequence[str],
    usual: int,
    later: int,
) -> dict[str, tuple[Values, Values]]:
    mend = 'Give a mapping: errors={"error": (errors of normal rows, errors of the rows)}.'
    if errors is not None and not isinstance(errors, Mapping):
        raise QueryError("errors", found=f"a {type(errors).__name__}", mend=mend)
    found = {}
    for name, pair in (errors or {}).items():
        if not isinstance(name, str) or not isinstance(pair, tuple | list) or len(pair) != 2:
            raise QueryError("errors", found=f"{name!r} with no pair of values", mend=mend)
        if name in chosen:
            raise QueryError(
                name, found="an error named like a variable", mend="Give it another name."
            )
        before, after = (real_numbers(each) for each in pair)
        if before is None or after is None:
            raise EvidenceError(name, found="values that are no numbers", mend=mend)
        if before.shape != (usual,) or after.shape != (later,):
            raise EvidenceError(
                name,
                found=f"shapes {before.shape} and {after.shape} for {usual} and {later} rows",
                mend="Give one value per row of the normal period, and one per row watched.",
            )
        found[name] = (before, after)
    return found


def _watch(
    name: str,
    normal: Values,
    values: Values,
    *,
    false_alarms: float,
    per: int,
    streams: int,
    drift: bool,
    seed: int,
) -> Watch:
    known = normal[np.isfinite(normal)]
    if len(known) < FEWEST:
        raise EvidenceError(
            name,
            found=f"{len(known)} normal rows in which it and its causes are known",
            mend=f"Give at least {FEWEST}, or leave it out of `nodes`.",
        )
    return watch(
        known,
        values,
        false_alarms=false_alarms,
        per=per,
        streams=streams,
        drift=drift,
        seed=zlib.crc32(f"{seed}/{name}".encode()),
    )


def _result(
    watches: Mapping[str, Watch],
    index: pd.Index,
    false_alarms: float,
    per: int,
    *,
    reset: bool,
    shared: Mapping[str, tuple[str, ...]],
) -> Monitoring:
    threshold = next(iter(watches.values())).threshold
    alarms: list[Alarm] = []
    evidence: dict[str, Values] = {}
    for name, each in watches.items():
        found, evidence[name] = each.alarms(reset=reset)
        alarms += [_alarm(name, one, index, threshold) for one in found]
    ordered = tuple(sorted(alarms, key=lambda alarm: alarm.row))
    tolerances = {
        name: {window * each.block: far for window, far in each.tolerances.items()}
        for name, each in watches.items()
    }
    return Monitoring(
        ordered,
        tuple(watches),
        false_alarms,
        per,
        evidence,
        threshold,
        tolerances,
        index,
        (*_unsure(ordered, shared), *_blind(tolerances)),
    )


def _alarm(name: str, one: Found, index: pd.Index, threshold: float) -> Alarm:
    return Alarm(
        name,
        one.row,
        index[one.row],
        one.kind,
        one.direction,
        # Larger numbers than this are no floats.
        math.exp(min(one.evidence, 700.0)),
        math.exp(threshold),
        one.since,
        index[one.since],
    )


def _unsure(alarms: Sequence[Alarm], shared: Mapping[str, tuple[str, ...]]) -> list[str]:
    """Alarms of variables that share a latent: which of them changed is not told apart."""
    notes = []
    for latents in dict.fromkeys(shared.values()):
        mine = [a.node for a in alarms if shared.get(a.node) == latents]
        names = list(dict.fromkeys(mine))
        if latents and len(names) > 1:
            notes.append(
                f"{', '.join(names)} share {', '.join(latents)}: a change of one of them may show "
                "in the others, and so may a new state of what they share."
            )
    return notes


def _left_out(wanted: Sequence[str], chosen: Sequence[str]) -> list[str]:
    left = [name for name in wanted if name not in chosen]
    return [f"Not watched, for want of a column in both periods: {', '.join(left)}."] * bool(left)


def _blind(tolerances: Mapping[str, Mapping[int, tuple[float, ...]]]) -> list[str]:
    """What cannot be seen, for drift is tolerated that far: no alarm is then no all-clear."""
    from scipy.special import ndtri

    least = {name: min(w[0] for w in windows.values()) for name, windows in tolerances.items()}
    wide = [name for name, rank in least.items() if rank >= _WIDE]
    # A normal law that moves so many deviations moves its mean rank so far.
    moves = {
        name: math.sqrt(2) * float(ndtri(0.5 + min(rank, _WIDE))) for name, rank in least.items()
    }
    some = {name: far for name, far in moves.items() if far >= _FAR and name not in wide}
    notes = []
    if wide:
        notes.append(
            f"{', '.join(wide)} drifted so much in the normal period that no shift of it can be "
            "told from that: give a longer normal period."
        )
    if some:
        told = ", ".join(f"{name} {far:.1f}" for name, far in some.items())
        notes.append(
            "So far a variable may move, in standard deviations of its noise, and raise no alarm, "
            f"since so few normal rows do not rule out that it drifts: {told}. Give a longer "
            "normal period, or drift=False where nothing drifts."
        )
    return notes


__all__ = ["monitor"]
