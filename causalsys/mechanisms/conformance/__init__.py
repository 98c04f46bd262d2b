"""What every mechanism must do, as checks that a user can run on a family of their own.

```python
from causalsys.mechanisms.conformance import check_mechanism

check_mechanism(lambda: Laplace(cs.Custom(family=Laplace), cs.Real("ms"), {"load": cs.Real()}))
```

Each check raises an AssertionError that says in words what is amiss.
"""

from __future__ import annotations

from collections.abc import Callable

from causalsys.mechanisms.base import Mechanism, Sample
from causalsys.mechanisms.conformance.algebra import (
    check_carry,
    check_density,
    check_noise_law,
    check_round_trip,
    check_slopes,
)
from causalsys.mechanisms.conformance.case import Case, example
from causalsys.mechanisms.conformance.limits import (
    check_degenerate,
    check_extremes,
    check_gradients,
    check_latent_parents,
)
from causalsys.mechanisms.conformance.shapes import (
    check_batches,
    check_deterministic,
    check_members,
    check_saving,
    check_types,
)
from causalsys.mechanisms.training import Training

CHECKS: tuple[Callable[[Case], None], ...] = (
    check_types,
    check_round_trip,
    check_carry,
    check_noise_law,
    check_density,
    check_slopes,
    check_batches,
    check_members,
    check_saving,
    check_deterministic,
    check_extremes,
    check_gradients,
    check_latent_parents,
    check_degenerate,
)
"""All of them, the cheap ones first."""


def check_mechanism(
    make: Callable[[], Mechanism], *, sample: Sample | None = None, training: Training | None = None
) -> None:
    """Run every check.

    Args:
        make: Gives the mechanism, not fitted.
        sample: What to fit it to, with three members or more; made up from the supports if
            left out.
        training: How to train; briefly, if left out, as nothing depends on a good fit.

    Raises:
        AssertionError: The mechanism breaks the contract; the message says how.
    """
    case = Case(make, sample or example(make()), training or Training(steps=25))
    for check in CHECKS:
        check(case)


__all__ = [
    "CHECKS",
    "Case",
    "check_batches",
    "check_carry",
    "check_degenerate",
    "check_density",
    "check_deterministic",
    "check_extremes",
    "check_gradients",
    "check_latent_parents",
    "check_mechanism",
    "check_members",
    "check_noise_law",
    "check_round_trip",
    "check_saving",
    "check_slopes",
    "check_types",
    "example",
]
