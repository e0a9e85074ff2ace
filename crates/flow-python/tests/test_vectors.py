"""What estimators promise: densities, samples, latents, contexts, weights, interruptions."""

from __future__ import annotations

import os
import signal
import threading
import time

import numpy as np
import pytest
from estimators import KINDS

import flow
DTYPES = ["float32", "float64"]


def normal(rows, columns, seed=0):
    return np.random.default_rng(seed).normal(size=(rows, columns))


def small(kind, **params):
    return kind(**{"layers": 2, "width": 16, "epochs": 5, **params})


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_latents_come_back_and_give_the_density(kind, dtype):
    x = normal(300, 3) * [1.0, 20.0, 0.3] + [5.0, 0.0, -7.0]
    fitted = small(kind, dtype=dtype).fit(x)
    z = fitted.transform(x)
    assert z.dtype == fitted.score_samples(x).dtype == np.dtype(dtype)
    scale = 1e-4 if dtype == "float32" else 1e-10
    np.testing.assert_allclose(fitted.inverse_transform(z), x, rtol=scale, atol=20 * scale)
    if dtype == "float64":
        log_det = np.log(np.abs(np.linalg.det(jacobian(fitted, x[:20]))))
        base = -0.5 * (z[:20] ** 2).sum(1) - 1.5 * np.log(2 * np.pi)
        np.testing.assert_allclose(fitted.score_samples(x[:20]), base + log_det, atol=1e-5)


def jacobian(fitted, x, step=1e-6):
    columns = x.shape[1]
    moved = [fitted.transform(x + step * np.eye(columns)[i]) for i in range(columns)]
    back = [fitted.transform(x - step * np.eye(columns)[i]) for i in range(columns)]
    return np.stack([(a - b) / (2 * step) for a, b in zip(moved, back)], axis=2)


@pytest.mark.parametrize("kind", [flow.AutoregressiveSplineFlow, flow.MaskedAutoregressiveFlow])
def test_one_column_integrates_to_one(kind):
    x = np.exp(normal(500, 1))
    fitted = small(kind, epochs=20).fit(x)
    grid = np.linspace(-60.0, 200.0, 400_001)
    density = np.exp(fitted.score_samples(grid[:, None]).astype(np.float64))
    assert np.trapezoid(density, grid) == pytest.approx(1.0, abs=2e-3)


def test_densities_are_in_the_units_of_the_data():
    x = normal(2000, 2)
    fits = [small(flow.NeuralSplineFlow, dtype="float64").fit(s * x) for s in (1.0, 1000.0)]
    near, far = fits[0].score_samples(x), fits[1].score_samples(1000.0 * x)
    np.testing.assert_allclose(near - far, 2 * np.log(1000.0), atol=1e-6)
    truth = -0.5 * (x**2).sum(1) - np.log(2 * np.pi)
    assert abs(near.mean() - truth.mean()) < 0.1


def test_samples_follow_the_data():
    x = normal(4000, 2) @ [[1.0, 0.8], [0.0, 0.6]] + [3.0, -2.0]
    fitted = small(flow.NeuralSplineFlow, epochs=30).fit(x)
    drawn = fitted.sample(20_000, random_state=1)
    np.testing.assert_allclose(drawn.mean(0), x.mean(0), atol=0.08)
    np.testing.assert_allclose(np.cov(drawn.T), np.cov(x.T), atol=0.12)


def test_seeds_decide_draws():
    fitted = small(flow.RealNVP).fit(normal(100, 2))
    assert (fitted.sample(5) == fitted.sample(5, random_state=0)).all()
    assert (fitted.sample(5, random_state=1) != fitted.sample(5)).all()
    generator = np.random.default_rng(0)
    first, second = (fitted.sample(5, random_state=generator) for _ in range(2))
    assert (first != second).all()
    assert (fitted.sample(5, random_state=None) != fitted.sample(5, random_state=None)).all()
    state = [fitted.sample(5, random_state=np.random.RandomState(7)) for _ in range(2)]
    assert (state[0] == state[1]).all()


def test_draws_know_their_density():
    fitted = small(flow.NeuralSplineFlow, dtype="float64").fit(normal(200, 3))
    drawn, log_prob = fitted.sample_with_log_prob(50, random_state=2)
    np.testing.assert_allclose(log_prob, fitted.score_samples(drawn), atol=1e-9)


@pytest.fixture(scope="module")
def conditional():
    generator = np.random.default_rng(0)
    context = generator.uniform(-1.0, 1.0, size=(4000, 1))
    x = np.hstack([context, -context]) + 0.1 * generator.normal(size=(4000, 2))
    kind = flow.NeuralSplineFlow(layers=3, width=32, epochs=40, dtype="float64")
    return kind.fit(x, context=context), x, context


def test_a_context_moves_the_density(conditional):
    fitted, x, context = conditional
    truth = np.log(2 * np.pi * 0.01)
    entropy = -1.0 - truth
    assert fitted.score(x, context=context) == pytest.approx(entropy, abs=0.1)
    drawn = fitted.sample(2000, context=[0.5])
    np.testing.assert_allclose(drawn.mean(0), [0.5, -0.5], atol=0.03)


def test_shapes_of_draws_are_those_of_contexts(conditional):
    fitted, x, _ = conditional
    assert fitted.sample(7, [0.1]).shape == (7, 2)
    assert fitted.sample(7, [[0.1]]).shape == (1, 7, 2)
    drawn, log_prob = fitted.sample_with_log_prob(7, [[0.1], [0.2], [0.3]])
    assert drawn.shape == (3, 7, 2) and log_prob.shape == (3, 7)
    given = fitted.score_samples(drawn[1], context=[0.2])
    np.testing.assert_allclose(given, log_prob[1], atol=1e-9)
    one = fitted.score_samples(x[:5], context=[[0.2]])
    np.testing.assert_array_equal(one, fitted.score_samples(x[:5], np.full((5, 1), 0.2)))


def test_an_embedding_is_a_network_for_contexts(conditional):
    _, x, context = conditional
    params = {"layers": 1, "width": 16, "epochs": 2}
    fitted = flow.RealNVP(**params, embedding=5).fit(x, context=context)
    plain = flow.RealNVP(**params).fit(x, context=context)
    assert fitted.model_.parameters > plain.model_.parameters


def test_weights_count_rows():
    x = np.vstack([normal(500, 2), normal(500, 2, seed=1) + 100.0])
    weights = np.repeat([1.0, 0.0], 500)
    fitted = small(flow.RealNVP).fit(x, sample_weight=weights)
    alone = small(flow.RealNVP).fit(x[:500])
    np.testing.assert_array_equal(fitted.score_samples(x[:9]), alone.score_samples(x[:9]))


def test_the_callback_sees_epochs_and_ends_the_fit():
    seen = []

    def callback(*epoch):
        seen.append(epoch)
        return len(seen) == 3

    fitted = small(flow.RealNVP, epochs=50, callback=callback).fit(normal(300, 2))
    assert [epoch for epoch, *_ in seen] == [1, 2, 3] and fitted.n_epochs_ == 3
    assert fitted.history_ == [(train, held_out) for _, train, held_out, _ in seen]
    best = max(epoch for epoch, _, _, is_best in seen if is_best)
    assert fitted.best_epoch_ == best


def test_an_exception_of_the_callback_ends_the_fit():
    def callback(*epoch):
        raise KeyError("mine")

    fresh = small(flow.RealNVP, callback=callback)
    with pytest.raises(KeyError, match="mine"):
        fresh.fit(normal(300, 2))
    assert not hasattr(fresh, "n_features_in_")


def test_patience_ends_the_fit_early():
    fitted = small(flow.RealNVP, epochs=1000, patience=2).fit(normal(300, 2))
    assert fitted.n_epochs_ < 1000
    assert fitted.n_epochs_ == fitted.best_epoch_ + 2


def test_nothing_is_held_out_on_demand():
    fitted = small(flow.RealNVP, validation_fraction=0.0).fit(normal(300, 2))
    assert all(held_out is None for _, held_out in fitted.history_)


def test_ctrl_c_ends_the_fit_in_the_middle_of_an_epoch():
    x = normal(50_000, 8)
    fresh = flow.NeuralSplineFlow(layers=8, width=256, epochs=100, batch_size=64)
    threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGINT)).start()
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        fresh.fit(x)
    assert time.monotonic() - began < 30.0
    assert not hasattr(fresh, "model_")


def test_a_fit_lets_other_threads_run():
    count, stop = 0, threading.Event()

    def work():
        nonlocal count
        while not stop.wait(0.001):
            count += 1

    other = threading.Thread(target=work)
    other.start()
    flow.NeuralSplineFlow(layers=3, width=64, epochs=30).fit(normal(2000, 3))
    stop.set()
    other.join()
    assert count > 20


def test_a_bar_is_shown_on_demand(capsys):
    small(flow.RealNVP, epochs=3, verbose=True).fit(normal(100, 2))
    shown = capsys.readouterr().err
    assert "epoch 3/3" in shown and shown.endswith("\n")
    small(flow.RealNVP, epochs=3).fit(normal(100, 2))
    assert capsys.readouterr().err == ""


def test_coarse_columns_are_warned_of():
    x = normal(100, 2)
    x[:, 1] += 1e6
    with pytest.warns(UserWarning, match="column 1 of X varies between .* take dtype='float64'"):
        small(flow.RealNVP, epochs=1).fit(x)


def test_settings_are_shown_where_they_differ():
    assert repr(flow.RealNVP(layers=3)) == "RealNVP(layers=3)"
    assert flow.NICE().set_params(width=8).width == 8
