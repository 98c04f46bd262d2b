"""Counterfactual attribution with dowhy's `gcm.attribute_anomalies`.

Budhathoki et al., "Causal structure-based root cause analysis of outliers", ICML 2022, as the
PetShop authors run it: mechanisms assigned automatically and fitted to normal rows, the third row
of the window attributed (the score is its distance from the mean, in standard deviations), missing
values filled with means. Three things differ, for time: mechanisms are of the quality GOOD, not
BETTER; SAMPLES rows stand for the noise's distribution, not 3000; and the Shapley values come from
10 permutations, not up to 30. Nodes that are no ancestors of the target are left out, which dowhy
gives nothing anyway.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import networkx as nx
import numpy as np
import pandas as pd

from case_studies.petshop.case import Case, Scores

SAMPLES = 500
PERMUTATIONS = 5  # dowhy draws five at a time, and stops after the first draw past this
ROW = 2


def counterfactual_attribution(cases: Sequence[Case]) -> list[Scores]:
    """Mean contribution of every node's noise to the target's score; it never stays silent."""
    fitted: dict[tuple[object, ...], Any] = {}
    found: list[Scores] = []
    for case in cases:
        if case.target.node not in case.calls or case.target.node not in case.series(normal=True):
            found.append({})
            continue
        key = (case.target, case.fold)
        normal = _filled(case)
        if key not in fitted:
            fitted[key] = _fit(case, normal)
        found.append(_attribute(case, fitted[key], normal))
    return found


def _filled(case: Case) -> pd.DataFrame:
    nodes = nx.ancestors(case.causes, case.target.node) | {case.target.node}
    table = case.series(normal=True).reindex(columns=sorted(nodes))
    return table.fillna(table.mean()).fillna(float(np.nanmean(table.mean())))


def _fit(case: Case, normal: pd.DataFrame) -> Any:
    from dowhy import gcm

    gcm.config.disable_progress_bars()
    gcm.util.general.set_random_seed(0)
    model = gcm.InvertibleStructuralCausalModel(case.causes.subgraph(normal.columns).copy())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gcm.auto.assign_causal_mechanisms(model, normal, quality=gcm.auto.AssignmentQuality.GOOD)
        for node in model.graph:
            mechanism = model.causal_mechanism(node)
            if isinstance(mechanism, gcm.DiscreteAdditiveNoiseModel):
                # Availability that was 100 throughout is taken for a count, and 97.7 then refused.
                continuous = gcm.AdditiveNoiseModel(mechanism.prediction_model)
                model.set_causal_mechanism(node, continuous)
        gcm.fit(model, normal)
    return model


def _attribute(case: Case, model: Any, normal: pd.DataFrame) -> Scores:
    from dowhy import gcm

    gcm.util.general.set_random_seed(0)
    seen = case.series().reindex(columns=normal.columns)
    own = seen.columns[seen.notna().any()]
    filled = seen.fillna(seen.mean()).fillna(normal.mean())
    row = min(ROW, len(filled) - 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        parts = gcm.attribute_anomalies(
            model,
            case.target.node,
            filled.iloc[row : row + 1],
            anomaly_scorer=gcm.anomaly_scorers.MeanDeviationScorer(),
            attribute_mean_deviation=True,
            num_distribution_samples=SAMPLES,
            shapley_config=gcm.shapley.ShapleyConfig(num_permutations=PERMUTATIONS, n_jobs=1),
        )
    # What the window did not measure gets nothing.
    means = {node: float(np.mean(np.nan_to_num(parts[node]))) for node in parts}
    return {node: mean if node in own else 0.0 for node, mean in means.items()}
