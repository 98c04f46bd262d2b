"""Simulated systems: top-1 and top-3 by size, noise and fault; and are probabilities right?"""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.lines import Line
from benchmarks.rootcause.faults import KINDS
from benchmarks.rootcause.sample import asked, run_all
from benchmarks.rootcause.scores import SURE, Score, rules_told, share

NAME = "simulated"
_FAULTS = tuple(kind for kind in KINDS if kind not in ("none", "noisy host"))
_SETTINGS = (
    (20, "medium", 0.0, 3, True),
    (200, "medium", 0.0, 10, False),
    (200, "low", 0.0, 2, False),
    (200, "high", 0.0, 2, False),
    (200, "medium", 0.3, 2, False),
    (1000, "medium", 0.0, 1, False),
)
"""Services, noise, drift, cases of each kind of fault, and whether hosts are told.

Where they are told, they can be at fault, too. A latent for each host makes fits of large models
take minutes: there they are left out."""
_BINS = ((0.0, 0.5), (0.5, 0.7), (0.7, 0.85), (0.85, 0.95), (0.95, 0.99), (0.99, 1.0))


def run(*, quick: bool = False) -> list[Line]:
    """A row for each size, noise and drift; each fault at 200 services; calibration; silence."""
    lines: list[Line] = []
    every: list[Score] = []
    for services, noise, drift, count, hosts in _SETTINGS[: 1 if quick else None]:
        kinds = (*_FAULTS, "noisy host") if hosts else _FAULTS
        count = 1 if quick else count
        cases = asked(services, kinds, count, noise=noise, drift=drift, hosts=hosts)
        scores = run_all(cases)
        main = (services, noise, drift) == (200, "medium", 0.0)
        said = f"{services} services, noise {noise}" + (f", drift {drift:g}" if drift else "")
        said += ", hosts told" if hosts else ""
        lines += _tops(said, scores, judged=main, lost=len(cases) - len(scores))
        every += scores
        if main:
            lines += _by_fault(scores)
    return [*lines, *_calibration(every), *_silence(quick=quick)]


def _tops(said: str, scores: Sequence[Score], *, judged: bool, lost: int) -> list[Line]:
    first, third = share(scores, lambda s: s.first), share(scores, lambda s: s.third)
    strict, names = share(scores, lambda s: s.strict), share(scores, lambda s: s.alarm)
    seconds = sum(score.seconds for score in scores) / max(len(scores), 1)
    note = (
        f"{len(scores)} cases, seeds from 1000, {lost} left out that do not show; "
        f"{rules_told(scores)}; "
        f"only the end of a call that is at fault counted: {strict:.2f}; alarms {names:.2f}; "
        f"refused {sum(bool(score.refused) for score in scores)}; {seconds:.1f} s each"
    )
    return [
        _line(f"{said}: top-1", first, 0.97 if judged else None, note),
        _line(f"{said}: top-3 (both, of two faults)", third, 0.99 if judged else None, ""),
    ]


def _by_fault(scores: Sequence[Score]) -> list[Line]:
    lines = []
    for kind in _FAULTS:
        some = [score for score in scores if score.kind == kind]
        third = share(some, lambda s: s.third)
        note = f"{len(some)} cases; top-3 {third:.2f}; {rules_told(some)}"
        lines.append(_line(f"200 services: {kind}", share(some, lambda s: s.first), None, note))
    return lines


def _calibration(scores: Sequence[Score]) -> list[Line]:
    """Of sets of names given a probability, those that hold a component at fault."""
    lines = []
    for low, high in _BINS:
        some = [s for s in scores if low <= s.probability < high or (s.probability, high) == (1, 1)]
        if not some:
            continue
        right, stated = share(some, lambda s: s.inside), _stated(some)
        case = f"first causes given {low:.2f} to {high:.2f}: right"
        note = f"{len(some)} of them, stated {stated:.3f} on average"
        if (low, high) == (0.85, 0.95):
            lines.append(Line(NAME, case, right, "0.85 to 0.95", 0.85 <= right <= 0.95, note))
        else:
            lines.append(_line(case, right, None, note))
    sure = [score for score in scores if score.probability >= SURE]
    note = f"{len(sure)} of them, stated {_stated(sure):.3f} on average"
    right = share(sure, lambda s: s.inside)
    return [*lines, _line(f"first causes given {SURE:.2f} or more: right", right, 0.85, note)]


def _stated(scores: Sequence[Score]) -> float:
    return sum(score.probability for score in scores) / max(len(scores), 1)


def _silence(*, quick: bool) -> list[Line]:
    scores = run_all(asked(30 if quick else 200, ["none"], 2 if quick else 40))
    silent = share(scores, lambda s: not s.alarm)
    return [_line("200 services, normal windows: no alarm", silent, 0.95, f"{len(scores)} windows")]


def _line(case: str, measured: float, least: float | None, note: str) -> Line:
    target = "" if least is None else f"≥ {least:g}"
    return Line(NAME, case, measured, target, None if least is None else measured >= least, note)
