from __future__ import annotations

import numpy as np
import torch
from scipy.stats import ks_2samp
from sklearn.linear_model import LogisticRegression

from causalsys.scm import specs
from causalsys.scm.supports import Boolean, Categorical, Real
from tests.mechanisms.samples import column, fit, sample_of

PARENTS = {"x": Real(), "y": Real()}


def _draw(rows: int, *, levels: int = 4) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    x = rng.normal(size=(rows, 2)) * [1.0, 5.0] + [0.0, 20.0]
    logits = (x - [0.0, 20.0]) @ (rng.normal(size=(2, levels)) / [[1.0], [5.0]])
    return x, (logits + rng.gumbel(size=(rows, levels))).argmax(1)


def test_it_is_multinomial_regression() -> None:
    x, codes = _draw(3000)
    sample = sample_of(codes, {"x": x[:, 0], "y": x[:, 1]})
    fitted = fit(specs.GumbelMax(), Categorical(4), sample, parents=PARENTS)
    standard = (x - x.mean(0)) / x.std(0)
    # The prior of a slope has variance 100 here and there; only the half counts are ours, and
    # they are 2 rows out of 3000.
    peer = LogisticRegression(C=100, tol=1e-8, max_iter=1000).fit(standard, codes)
    every = torch.arange(4).reshape(4, 1, 1).expand(4, 1, len(codes))
    ours = fitted.log_prob(every, sample.parents)[:, 0].exp().T.numpy()
    np.testing.assert_allclose(ours, peer.predict_proba(standard), atol=2e-3)


def test_without_parents_it_is_the_frequencies_with_half_counts() -> None:
    codes = np.array([0, 0, 0, 2, 2, 0])
    fitted = fit(specs.GumbelMax(), Categorical(3), sample_of(codes, {}))
    share = fitted.log_prob(torch.arange(3).unsqueeze(0), {}).exp()
    np.testing.assert_allclose(share[0], np.array([4.5, 0.5, 2.5]) / 7.5)


def test_a_level_never_seen_and_separated_classes_stay_finite() -> None:
    x = np.linspace(-1, 1, 50)
    sample = sample_of((x > 0).astype(int), {"x": x})
    fitted = fit(specs.GumbelMax(), Categorical(3), sample, parents={"x": Real()})
    never = fitted.log_prob(torch.full((1, 50), 2), sample.parents)
    assert bool(torch.isfinite(never).all())
    assert bool((never < -3).all())
    assert float(fitted.log_prob(sample.value, sample.parents).exp().mean()) > 0.9


def test_the_noise_given_a_level_is_what_rejection_gives() -> None:
    probabilities = np.array([0.6, 0.3, 0.1])
    codes = np.repeat(np.arange(3), (probabilities * 10_000).astype(int))
    fitted = fit(specs.GumbelMax(), Categorical(3), sample_of(codes, {}))
    generator = torch.Generator().manual_seed(0)
    free = fitted.draw_noise((1, 60_000), generator=generator)
    level = fitted.push(free, {})
    for chosen in range(3):
        kept = free[level == chosen].numpy()
        pulled = fitted.pull(torch.full((1, len(kept)), chosen), {}, generator=generator)[0]
        for element in range(3):
            # Nine tests at this level each: seeds are fixed, so a pass stays one.
            assert ks_2samp(kept[:, element], pulled[:, element].numpy()).pvalue > 1e-3


def test_a_counterfactual_level_never_loses_to_one_whose_odds_did_not_rise() -> None:
    x, codes = _draw(2000)
    sample = sample_of(codes, {"x": x[:, 0], "y": x[:, 1]})
    fitted = fit(specs.GumbelMax(), Categorical(4), sample, parents=PARENTS)
    noise = fitted.pull(sample.value, sample.parents, generator=torch.Generator().manual_seed(1))
    other = {"x": column(x[:, 0] + 1.0), "y": sample.parents["y"]}
    after = fitted.push(noise, other)
    # log p'(after)/p(after) must be at least log p'(fact)/p(fact).
    gain = [
        fitted.log_prob(level, other) - fitted.log_prob(level, sample.parents)
        for level in (after, sample.value)
    ]
    assert bool((after != sample.value).any())
    assert bool((gain[0] >= gain[1] - 1e-9).all())


def test_a_network_learns_what_no_line_separates() -> None:
    rng = np.random.default_rng(4)
    x = rng.normal(size=(3000, 2))
    truth = 1 / (1 + np.exp(-4 * x[:, 0] * x[:, 1]))
    sample = sample_of((rng.random(3000) < truth).astype(int), {"x": x[:, 0], "y": x[:, 1]})
    spec = specs.GumbelMax(hidden=(16, 16))
    fitted = fit(spec, Boolean(), sample, parents=PARENTS)
    learned = fitted.log_prob(torch.ones(1, 3000, dtype=torch.int64), sample.parents).exp()
    # About 20 effective parameters on 3000 rows: an error near .5 sqrt(20 / 3000) = .04.
    assert float((learned[0] - torch.as_tensor(truth)).abs().mean()) < 0.06
