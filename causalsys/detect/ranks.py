"""Ranks of new scores among calibration scores, and what may be concluded from many of them.

A new row that is exchangeable with the `n` calibration rows has a p-value
`(1 + how many of their scores are at least its own) / (n + 1)`, which is at most `a` with a chance
of at most `a`, whatever the score (Vovk, Gammerman and Shafer, Algorithmic Learning in a Random
World, 2005, section 2.2). All new rows share the calibration rows, so their p-values are dependent:
the number that falls to `a` or below is not binomial but beta-binomial, and false discoveries are
still controlled by the procedure of Benjamini and Hochberg (Bates, Candès, Lei, Romano and Sesia,
Annals of Statistics 2023, section 2.2 and theorem 2).
"""

from __future__ import annotations

import math

import numpy as np

from causalsys.detect.loss import Values


def p_values(scores: Values, *, calibration: Values) -> Values:
    """The p-value of each score, large ones being the unusual ones, `[row]`.

    Example:
        >>> import numpy as np
        >>> p_values(np.array([0.5, 99.0]), calibration=np.arange(9.0))
        array([0.9, 0.1])
    """
    ordered = np.sort(calibration)
    at_least = len(ordered) - np.searchsorted(ordered, scores, side="left")
    found: Values = (1 + at_least) / (len(ordered) + 1)
    return found


def excess(p: Values, *, calibration: int, level: float) -> float:
    """The chance that as many p-values fall to the level or below, were nothing unusual.

    Args:
        p: Conformal p-values that share their calibration rows, `[row]`.
        calibration: How many calibration rows there are.
        level: Which p-values count.

    Example:
        >>> import numpy as np
        >>> excess(np.full(20, 0.01), calibration=199, level=0.05) < 1e-6
        True
    """
    from scipy.stats import betabinom

    rank = math.floor(level * (calibration + 1) + 1e-9)
    if rank == 0 or not len(p):
        return 1.0
    count = int((p <= level + 1e-12).sum())
    return float(betabinom.sf(count - 1, len(p), rank, calibration + 1 - rank))


def adjusted(p: Values) -> Values:
    """P-values adjusted for their number: a share of at most `a` of those below `a` is false.

    Example:
        >>> import numpy as np
        >>> adjusted(np.array([0.01, 0.02, 0.9]))
        array([0.03, 0.03, 0.9 ])
    """
    order = np.argsort(p, kind="stable")
    scaled = p[order] * len(p) / np.arange(1, len(p) + 1)
    found = np.empty_like(p)
    found[order] = np.minimum.accumulate(scaled[::-1])[::-1]
    return np.minimum(found, 1.0)


__all__ = ["adjusted", "excess", "p_values"]
