"""Posteriors, as sbi calls them, and their calibration."""

from __future__ import annotations

import numpy as np
import pytest

import flow


def simulate(count, seed=0):
    """θ ~ N(0, I) in two dimensions, and x = θ + N(0, ½²): a posterior that is known."""
    generator = np.random.default_rng(seed)
    theta = generator.normal(size=(count, 2))
    return theta, theta + 0.5 * generator.normal(size=(count, 2))


@pytest.fixture(scope="module")
def fitted():
    theta, x = simulate(8000)
    kind = flow.MaskedAutoregressiveFlow(layers=2, width=32, epochs=60)
    return kind.fit(theta, context=x)


def test_the_posterior_is_the_known_one(fitted):
    posterior = flow.Posterior(fitted, x=[0.5, -1.0])
    drawn = posterior.sample((4000,), random_state=0)
    assert drawn.shape == (4000, 2)
    np.testing.assert_allclose(drawn.mean(0), [0.4, -0.8], atol=0.06)
    np.testing.assert_allclose(drawn.std(0), np.sqrt(0.2), atol=0.05)
    theta = drawn[:50]
    squares = ((theta - [0.4, -0.8]) ** 2).sum(1)
    truth = -0.5 * squares / 0.2 - np.log(2 * np.pi * 0.2)
    np.testing.assert_allclose(posterior.log_prob(theta), truth, atol=0.5)


def test_calls_are_those_of_sbi(fitted):
    posterior = flow.Posterior(fitted)
    assert posterior.sample(x=[[0.0, 0.0]]).shape == (2,)
    assert posterior.sample((3, 5), x=[0.0, 0.0]).shape == (3, 5, 2)
    assert posterior.sample((0,), x=[0.0, 0.0]).shape == (0, 2)
    assert posterior.set_default_x([0.0, 0.0]) is posterior
    np.testing.assert_array_equal(
        posterior.log_prob([[0.1, 0.2]]), fitted.score_samples([[0.1, 0.2]], [0.0, 0.0])
    )


def test_a_good_posterior_is_calibrated(fitted):
    theta, x = simulate(1000, seed=1)
    found = flow.sbc_ranks(fitted, theta, x, draws=99)
    assert found.ranks.shape == (1000, 2) and found.levels.shape == (1000,)
    assert found.ranks.min() >= 0 and found.ranks.max() <= 99
    assert (found.p_values > 1e-4).all()
    assert found.coverage(0.9) == pytest.approx(0.9, abs=0.05)


def test_an_overconfident_posterior_is_not(fitted):
    theta, x = simulate(1000, seed=1)
    theta = theta + 0.7 * np.random.default_rng(2).normal(size=theta.shape)
    found = flow.sbc_ranks(fitted, theta, x, draws=99)
    assert (found.p_values < 1e-6).all()
    assert found.coverage(0.9) < 0.8
