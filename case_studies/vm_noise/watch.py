"""When the predictor went wrong: its objective, and the mechanism that changed."""

from __future__ import annotations

import numpy as np
import pandas as pd

from case_studies.vm_noise.incumbent import Floats, blind_errors
from causalsys.detect.monitoring import Alarm
from causalsys.detect.objective import monitor_objective
from models.vm_noise import TARGET

LIMIT = 0.2
"""Relative error above which a prediction counts as wrong: the objective."""
_BLOCK = 8
"""Machines that count together, since those that start together share hosts."""
_STRETCHES, _MORE, _LEAST = 5, 1.25, 0.1
"""What is allowed: so many times the share of wrong ones in the worst stretch of the normal period
that is as long as a fifth of it (about a month), and no less than the last."""
FALSE_ALARMS = 0.01


def allowed(normal: pd.DataFrame) -> float:
    """The share of wrong predictions that the normal period allows."""
    wrong = pd.Series(blind_errors(normal) > LIMIT)
    window = max(len(wrong) // _STRETCHES, 1)
    worst = float(wrong.rolling(window).mean().max())
    return float(np.clip(_MORE * worst, _LEAST, 0.9))


def alarms(normal: pd.DataFrame, later: pd.DataFrame, errors: Floats) -> tuple[Alarm, ...]:
    """The alarms of the objective in the rows after the normal period.

    Args:
        normal: Rows that the incumbent was fitted to.
        later: The rows after them.
        errors: The incumbent's relative errors in them, `[row]`.
    """
    wrong = pd.Series(errors > LIMIT, index=pd.DatetimeIndex(later["started"]))
    found = monitor_objective(
        wrong,
        share=allowed(normal),
        false_alarms=FALSE_ALARMS,
        block=_BLOCK,
        name=TARGET,
    )
    return found.alarms
