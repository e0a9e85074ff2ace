"""scikit-learn's own checks, and its tools around these estimators."""

from __future__ import annotations

import pickle

import joblib
import numpy as np
import pytest
from estimators import KINDS
from sklearn.base import clone
from sklearn.datasets import make_moons
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

import flow

# Batches are drawn at random, so a weight of 2 is a row twice on average only.
STOCHASTIC = {
    "check_sample_weight_equivalence_on_dense_data": "batches are drawn at random",
}


@pytest.fixture(scope="module")
def moons():
    x, _ = make_moons(400, noise=0.1, random_state=0)
    return x


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_check_estimator(kind, dtype):
    small = kind(layers=2, width=32, epochs=3, dtype=dtype)
    check_estimator(small, expected_failed_checks=STOCHASTIC)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_clone_has_the_same_parameters_and_no_fit(kind, moons):
    fitted = kind(layers=1, width=8, epochs=1, random_state=3).fit(moons)
    copy = clone(fitted)
    assert copy.get_params() == fitted.get_params()
    with pytest.raises(NotFittedError, match="not fitted yet"):
        copy.sample()


def test_pipeline(moons):
    scaled = make_pipeline(StandardScaler(), flow.RealNVP(layers=2, width=16, epochs=5))
    scaled.fit(moons)
    x = StandardScaler().fit_transform(moons)
    alone = flow.RealNVP(layers=2, width=16, epochs=5).fit(x)
    np.testing.assert_array_equal(scaled.score_samples(moons), alone.score_samples(x))


def test_a_flow_in_the_middle_of_a_pipeline_gives_latents(moons):
    both = make_pipeline(flow.RealNVP(layers=2, width=16, epochs=5), StandardScaler())
    assert both.fit_transform(moons).shape == moons.shape


def test_grid_search_finds_the_longer_fit(moons):
    flows = GridSearchCV(flow.NeuralSplineFlow(layers=2, width=16), {"epochs": [1, 60]}, cv=2)
    flows.fit(moons)
    assert flows.best_params_ == {"epochs": 60}
    assert flows.best_estimator_.sample(3).shape == (3, 2)


def test_cross_validation_passes_contexts(moons):
    x, context = moons[:, :1], moons[:, 1:]
    fits = [
        flow.AutoregressiveSplineFlow(layers=2, width=16, epochs=5).fit(x, context=context)
        for _ in range(2)
    ]
    np.testing.assert_array_equal(*(fit.score_samples(x, context) for fit in fits))
    scores = cross_val_score(flow.RealNVP(layers=1, width=8, epochs=2), moons, cv=3)
    assert np.isfinite(scores).all()


@pytest.mark.parametrize("dump", [pickle.dumps, None], ids=["pickle", "joblib"])
def test_pickles_keep_every_bit(dump, moons, tmp_path):
    fitted = flow.NeuralSplineFlow(layers=2, width=16, epochs=3).fit(moons)
    if dump is None:
        joblib.dump(fitted, tmp_path / "flow")
        back = joblib.load(tmp_path / "flow")
    else:
        back = pickle.loads(dump(fitted))
    assert back.get_params() == fitted.get_params()
    np.testing.assert_array_equal(back.score_samples(moons), fitted.score_samples(moons))
    np.testing.assert_array_equal(back.sample(20), fitted.sample(20))


def test_a_pickle_holds_the_bytes_of_the_file(moons, tmp_path):
    fitted = flow.NeuralSplineFlow(layers=1, width=8, epochs=1).fit(moons)
    fitted.save(tmp_path / "flow.safetensors")
    assert (tmp_path / "flow.safetensors").read_bytes() in pickle.dumps(fitted)
