"""Memory that many calls, fits and exceptions leave behind."""

from __future__ import annotations

import gc
import pathlib

import numpy as np
import pytest

import flow

STATUS = pathlib.Path("/proc/self/statm")

pytestmark = pytest.mark.skipif(not STATUS.exists(), reason="the system has no /proc")

PAGE = 4096


def resident():
    gc.collect()
    return int(STATUS.read_text().split()[1]) * PAGE


def grows(work, calls):
    """Bytes that the second half of the calls adds; the first half fills caches."""
    for _ in range(calls // 2):
        work()
    before = resident()
    for _ in range(calls // 2):
        work()
    return resident() - before


@pytest.fixture(scope="module")
def x():
    return np.random.default_rng(0).normal(size=(200, 2))


def test_a_thousand_fits_leave_nothing_behind(x):
    def fit():
        flow.RealNVP(layers=2, width=16, epochs=1, batch_size=100).fit(x).sample(10)

    # A fit holds about 200 kB of weights, moments and batches; half of them are 100 MB.
    assert grows(fit, 1000) < 16e6


def test_exceptions_leave_nothing_behind(x):
    spoiled = np.vstack([x] * 200)
    spoiled[-1, -1] = np.nan
    fitted = flow.RealNVP(layers=1, width=8, epochs=1).fit(x)

    def fail():
        with pytest.raises(ValueError, match="NaN"):
            fitted.score_samples(spoiled)
        with pytest.raises(ZeroDivisionError):
            flow.RealNVP(layers=1, width=8, epochs=1, callback=lambda *_: 1 / 0).fit(x)

    # The array alone has 640 kB.
    assert grows(fail, 200) < 16e6


def test_calls_leave_nothing_behind(x):
    fitted = flow.NeuralSplineFlow(layers=2, width=16, epochs=1).fit(x)
    wide = np.vstack([x] * 50)

    def call():
        fitted.inverse_transform(fitted.transform(wide))
        fitted.score_samples(wide)
        fitted.sample(10_000)

    assert grows(call, 200) < 16e6
