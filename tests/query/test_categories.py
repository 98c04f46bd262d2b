"""Models of categories: against enumeration, and against pgmpy's variable elimination."""

from __future__ import annotations

from itertools import product

import numpy as np
import pandas as pd
import pytest
import torch

import causalsys as cs
from tests import models


class Clinic(cs.SCM):
    """A treatment whose effect is confounded by a latent severity."""

    severity = cs.Latent(cs.Categorical(["mild", "grave"]))
    sign = cs.Observed(cs.Categorical(3), parents=[severity])
    scan = cs.Observed(cs.Boolean(), parents=[severity])
    treated = cs.Decision(cs.Boolean(), parents=[severity])
    healed = cs.Observed(cs.Boolean(), parents=[severity, treated])


def clinic(rows: int = 4000, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    grave = rng.random(rows) < 0.4
    sign = np.where(grave, rng.choice(3, rows, p=[0.1, 0.2, 0.7]), rng.choice(3, rows))
    scan = rng.random(rows) < np.where(grave, 0.9, 0.1)
    treated = rng.random(rows) < np.where(grave, 0.8, 0.3)
    healed = rng.random(rows) < np.where(grave, 0.2, 0.8) + 0.15 * treated
    return pd.DataFrame({"sign": sign, "scan": scan, "treated": treated, "healed": healed})


@pytest.fixture(scope="module")
def fitted() -> cs.FittedSCM:
    return Clinic.fit(clinic(), ensemble=1)


def _chance(fitted: cs.FittedSCM, name: str, code: int, **parents: int) -> float:
    """The fitted probability of a level given the parents' levels."""
    given = {k: torch.tensor([[v]]) for k, v in parents.items()}
    return float(fitted.mechanism(name).log_prob(torch.tensor([[code]]), given)[0, 0].exp())


def _joint(
    fitted: cs.FittedSCM, done: dict[str, int] | None = None
) -> dict[tuple[int, ...], float]:
    """The probability of each combination (severity, sign, scan, treated, healed)."""
    done, found = done or {}, {}
    for s, g, c, t, h in product(range(2), range(3), range(2), range(2), range(2)):
        treat = _chance(fitted, "treated", t, severity=s)
        found[s, g, c, t, h] = (
            _chance(fitted, "severity", s)
            * _chance(fitted, "sign", g, severity=s)
            * _chance(fitted, "scan", c, severity=s)
            * (float(t == done["treated"]) if "treated" in done else treat)
            * _chance(fitted, "healed", h, severity=s, treated=t)
        )
    return found


def test_latent_classes_are_recovered(fitted: cs.FittedSCM) -> None:
    """Up to their names. With 4000 rows the chances' standard errors are about 0.015."""
    first = _chance(fitted, "scan", 1, severity=0) < 0.5
    mild, grave = (0, 1) if first else (1, 0)
    assert _chance(fitted, "severity", grave) == pytest.approx(0.4, abs=0.06)
    for code, chances in ((mild, (0.1, 0.3, 0.8)), (grave, (0.9, 0.8, 0.2))):
        names = {"scan": {}, "treated": {}, "healed": {"treated": 0}}
        for (name, beside), chance in zip(names.items(), chances, strict=True):
            found = _chance(fitted, name, 1, severity=code, **beside)
            assert found == pytest.approx(chance, abs=0.06), (name, code)


def test_the_confounded_effect_is_recovered(fitted: cs.FittedSCM) -> None:
    """Treatment heals 15 % more, though the treated heal less often."""
    data = clinic()
    naive = data.groupby("treated")["healed"].mean()
    assert naive[True] < naive[False]
    chance = {t: fitted.exact("healed", do={"treated": t})["probability"][True] for t in (0, 1)}
    # Four standard errors of the difference of two chances in 4000 rows.
    assert chance[1] - chance[0] == pytest.approx(0.15, abs=0.08)


def test_exact_answers_are_those_of_enumeration(fitted: cs.FittedSCM) -> None:
    joint = _joint(fitted)
    given = {k: p for k, p in joint.items() if k[1] == 2 and k[4] == 1}
    wanted = sum(p for k, p in given.items() if k[0] == 1) / sum(given.values())
    found = fitted.exact("severity", given={"sign": 2, "healed": True})
    assert found["probability"]["grave"] == pytest.approx(wanted, rel=1e-9)
    done = _joint(fitted, done={"treated": 1})
    healed = sum(p for k, p in done.items() if k[4] == 1)
    found = fitted.exact("healed", do={"treated": True})
    assert found["probability"][True] == pytest.approx(healed, rel=1e-9)


def test_posterior_draws_are_those_of_pgmpy(fitted: cs.FittedSCM) -> None:
    """For every combination of evidence; 4000 draws are within 0.032 (four standard errors)."""
    from pgmpy.factors.discrete import TabularCPD
    from pgmpy.inference import VariableElimination
    from pgmpy.models import DiscreteBayesianNetwork

    network = DiscreteBayesianNetwork(
        [("severity", n) for n in ("sign", "scan", "treated", "healed")] + [("treated", "healed")]
    )

    def table(name: str, levels: int, parents: list[str]) -> TabularCPD:
        combinations = [
            dict(zip(parents, c, strict=True)) for c in product((0, 1), repeat=len(parents))
        ]
        values = [[_chance(fitted, name, k, **c) for c in combinations] for k in range(levels)]
        return TabularCPD(name, levels, values, parents, [2] * len(parents))

    network.add_cpds(
        table("severity", 2, []),
        table("sign", 3, ["severity"]),
        table("scan", 2, ["severity"]),
        table("treated", 2, ["severity"]),
        table("healed", 2, ["severity", "treated"]),
    )
    oracle = VariableElimination(network)
    rows = pd.DataFrame(
        list(product(range(3), (False, True), (False, True))), columns=["sign", "treated", "healed"]
    )
    answer = fitted.counterfactual(rows, do={}, samples=4000)
    assert set(answer.inferred) == {"severity", "scan"}
    for row, evidence in rows.astype(int).iterrows():
        for name in ("severity", "scan"):
            wanted = oracle.query([name], evidence.to_dict(), show_progress=False).values
            found = answer.observed(name).values[:, row].mean()
            assert found == pytest.approx(wanted[1], abs=0.032), (name, row)


def test_sampling_is_exact_in_the_mean(fitted: cs.FittedSCM) -> None:
    """Of 20,000 rows: within 0.015 (four standard errors)."""
    drawn = fitted.sample(20_000, do={"treated": True})
    wanted = fitted.exact("healed", do={"treated": True})["probability"][True]
    assert drawn.draws("healed").values.mean() == pytest.approx(wanted, abs=0.015)
    prior = fitted.exact("severity")["probability"]
    shares = pd.Series(drawn.draws("severity").values[0]).value_counts(normalize=True)
    np.testing.assert_allclose(shares.sort_index(), prior, atol=0.015)


def test_the_likelihood_of_rows_is_the_sum_over_classes(fitted: cs.FittedSCM) -> None:
    rows = clinic()[:40]
    joint = _joint(fitted)
    wanted = [
        np.log(sum(joint[s, *map(int, row)] for s in range(2)))
        for row in rows[["sign", "scan", "treated", "healed"]].to_numpy()
    ]
    np.testing.assert_allclose(fitted.log_prob(rows), wanted, rtol=1e-9)


def test_counterfactuals_of_levels_are_stable() -> None:
    """A level gives way only to one whose odds against it rose (Oberst and Sontag, 2019)."""
    fitted, rows = models.fitted_zoo(), models.zoo()
    answer = fitted.counterfactual(rows, do={"x": lambda x: x + 0.7}, samples=200)
    codes = answer.draws("level").values.astype(int)
    seen = rows["level"].to_numpy()
    mechanism, members = fitted.mechanism("level"), torch.arange(200) % 2
    k = torch.tensor([["abc".index(level) for level in rows["k"]]])
    for moved, expected in ((0.0, None), (0.7, codes)):
        x = torch.tensor(rows["x"].to_numpy() + moved).unsqueeze(0)
        levels = torch.arange(3).reshape(3, 1, 1)
        log_odds = mechanism.members(members).log_prob(levels, {"x": x, "k": k}).numpy()
        if expected is None:
            before = log_odds
    sample, row = np.indices(codes.shape)
    rise = (log_odds - before)[codes, sample, row] - (log_odds - before)[seen[row], sample, row]
    changed = codes != seen
    assert changed.any()
    assert (rise[changed] > 0).all()
