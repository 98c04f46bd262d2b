"""The policies that made a record, where its author knows them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from causalsys.data.levels import coder
from causalsys.errors import InterventionError, UnknownNameError
from causalsys.fit.fitted import Fitted
from causalsys.query.behaviour import Behaviour
from causalsys.query.intervention import as_intervention
from causalsys.scm.supports import Categorical


def recorded_by(policies: Mapping[Any, Any], fitted: Fitted) -> Behaviour:
    """The policies of a model's one decision, by the arm in which each was live.

    Args:
        policies: The policy of each arm; arms may be left out.
        fitted: The model.

    Raises:
        InterventionError: It has not one decision and one arm, or a policy cannot be used.
        UnknownNameError: There is no such arm.
    """
    nodes = fitted.declaration.nodes.values()
    decisions = [node.name for node in nodes if node.kind == "decision"]
    arms = [node.name for node in nodes if node.kind == "arm"]
    if len(decisions) != 1 or len(arms) != 1:
        raise InterventionError(
            "behaviour",
            found=f"{len(decisions)} decisions and {len(arms)} arms in the model",
            mend="Recorded policies are known of one decision under one arm; leave them out.",
        )
    supports = fitted.schema.supports
    arm = supports[arms[0]]
    assert isinstance(arm, Categorical)
    code, levels = coder(arm), arm.levels or ()
    made = {}
    for name, policy in policies.items():
        at = int(code(name))
        if at < 0:
            raise UnknownNameError.among(name, map(str, levels), where="the arms")
        made[at] = as_intervention(
            policy, name=decisions[0], support=supports[decisions[0]], rows=1, supports=supports
        )
    return Behaviour(decisions[0], arms[0], made)
