"""Validation without the truth: leave out an arm, simulate it from the others, compare.

In a randomised trial the traces of all arms are alike but for the policy. So the traces of the
other arms, rolled forward under the arm's policy, must be distributed as the arm's own (Alomar et
al., CausalSim, NSDI 2023, section 6: a target policy is left out). Nothing else is known: no trace
was ever seen under two policies. What is compared, and against what, is told in docs/simulation.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from causalsys.engine.progress import tracked
from causalsys.errors import QueryError
from causalsys.query.asked import count
from causalsys.scm.declare import Declared
from causalsys.simulate.baselines import BASELINES
from causalsys.simulate.forecast import holm
from causalsys.simulate.leave_out import LeftOut, Plan
from causalsys.simulate.objective import Goal
from causalsys.simulate.trial import Trial
from causalsys.simulate.validation import ArmValidation, Compared, Law, Trust, Validation

_WIDE = 0.5
"""A metric known to no better than this says nothing."""
_SUSPICIOUS = 0.05
"""A difference rarer than this by itself is no agreement, though it may be chance among many."""


def validate(
    model: type[Declared],
    traces: object,
    *,
    policies: Mapping[str, Any],
    metrics: Sequence[Goal] | None = None,
    only: Sequence[str] | None = None,
    exclude: Sequence[str] = (),
    baselines: Sequence[str] = BASELINES,
    ensemble: int = 1,
    level: float = 0.9,
    tolerance: float = 0.02,
    seed: int = 0,
) -> Validation:
    """Where the simulator may be trusted, and where not: each arm left out and simulated in turn.

    Args:
        model: The declared model: a class, not what was fitted of it.
        traces: The recorded traces of a randomised trial, as for `fit`.
        policies: The policy of each arm, by the arm's name. Arms without one are used for fitting
            only.
        metrics: What you will read off simulations: "p99 latency", functions of columns or of
            `frame`, as in `cs.validate_fix`; not what grows with the number of rows, a maximum or a
            sum, since an arm has fewer than the others. By default the mean and the 95 % quantile
            of each recorded number that a decision reaches.
        only: The arms to leave out; by default all that have a policy.
        exclude: Arms not to leave out.
        baselines: What to show beside: "replay", "expert", "supervised" (a network, the slowest
            part of a validation), "off-policy".
        ensemble: How many parameter draws each fit has. With one, the chaos floor comes from
            the one-step error that was achieved.
        level: The level of the intervals.
        tolerance: A relative difference (of distances: one in units of the spread) that does not
            matter to you. With enough traces any difference would be there beyond chance.
        seed: Fixes all random choices.

    Returns:
        The validation: in words by `print`, as a table by `to_frame()`, as a picture by `plot()`.

    Raises:
        QueryError: There is no arm, but one, or one whose actions no other arm takes; or an
            outcome has missing cells.
        UnknownNameError: A policy or an argument names an arm that is not in the data.
        DataError: The traces do not fit the model.
        NotIdentifiedError: The other arms cannot tell what the policy changes.

    Example:
        >>> import causalsys as cs, numpy as np, pandas as pd
        >>> from torch import tensor
        >>> from torch.distributions import Categorical
        >>> class Routes(cs.SCM):
        ...     arm = cs.Arm()
        ...     route = cs.Decision(cs.Categorical([0, 1]), parents=[arm], mechanism=cs.Logged())
        ...     delay = cs.Observed(cs.Positive("ms"), [route], mechanism=cs.Multiplicative())
        >>> odds = {"old": [0.8, 0.2], "even": [0.5, 0.5], "new": [0.1, 0.9]}
        >>> rng = np.random.default_rng(0)
        >>> log = pd.DataFrame({"arm": np.repeat(list(odds), 500)})
        >>> log["route"] = [rng.choice(2, p=odds[arm]) for arm in log["arm"]]
        >>> log["delay"] = np.where(log["route"], 10, 25) * rng.lognormal(0, 0.3, 1500)
        >>> policies = {arm: Categorical(tensor(chances)) for arm, chances in odds.items()}
        >>> found = validate(Routes, log, policies=policies, metrics=["delay"])
        >>> found.trust, found["new"]["delay"].trust
        ('trust', 'trust')
        >>> {name: round(value) for name, value in found["new"]["delay"].baselines.items()}
        {'expert': 20, 'replay': 20, 'ips': 12, 'doubly robust': 12}
    """
    if isinstance(tolerance, bool) or not 0 <= tolerance < 1:
        raise QueryError("tolerance", found=repr(tolerance), mend="Give a number from 0 to 1.")
    if not 0 < level < 1:
        raise QueryError("level", found=repr(level), mend="Give a number between 0 and 1.")
    trial = Trial.of(model.declaration, traces, policies=policies)
    arms = trial.chosen(only, exclude)
    plan = Plan(
        trial,
        trial.objectives(metrics),
        tuple(_known(baselines)),
        count(ensemble, "ensemble"),
        level,
        tolerance,
        count(seed, "seed", least=0),
        len(arms),
    )
    found = [
        LeftOut.of(arm, plan).compared() for arm in tracked(arms, what=f"validating {trial.name}")
    ]
    rest = tuple(arm for arm in trial.arms if arm not in arms)
    return Validation(trial.name, _judged(found, tolerance), rest, level, tolerance)


def _known(baselines: Sequence[str]) -> Sequence[str]:
    for name in baselines:
        if name not in BASELINES:
            raise QueryError(
                "baselines", found=repr(name), mend=f"Choose among {', '.join(BASELINES)}."
            )
    return baselines


def _judged(arms: list[ArmValidation], tolerance: float) -> tuple[ArmValidation, ...]:
    """Trust, all comparisons being looked at together (Holm, 1979)."""
    import numpy as np

    values = [m.p_value for arm in arms for m in arm.metrics]
    values += [law.distance.p_value for arm in arms for law in arm.laws]
    if not values:
        return tuple(arms)
    rejected = iter(holm(np.array(values)))
    metrics = [[_metric(m, arm, bad=next(rejected)) for m in arm.metrics] for arm in arms]
    laws = [[_law(law, arm, bad=next(rejected)) for law in arm.laws] for arm in arms]
    return tuple(
        replace(arm, metrics=tuple(m), laws=tuple(w))
        for arm, m, w in zip(arms, metrics, laws, strict=True)
    )


def _metric(each: Compared, arm: ArmValidation, *, bad: bool) -> Compared:
    wide = each.within > _WIDE or each.floor > _WIDE * abs(each.measured.value)
    return replace(each, trust=_trust(each.p_value, arm, bad=bad, wide=wide))


def _law(each: Law, arm: ArmValidation, *, bad: bool) -> Law:
    wide = each.distance.chance > _WIDE
    return replace(each, trust=_trust(each.distance.p_value, arm, bad=bad, wide=wide))


def _trust(p_value: float, arm: ArmValidation, *, bad: bool, wide: bool) -> Trust:
    """Agreement counts for less where it is suspicious, or the mechanism is wrong."""
    if bad:
        return "distrust"
    return "unsure" if wide or p_value < _SUSPICIOUS or not arm.transported else "trust"


__all__ = ["validate"]
