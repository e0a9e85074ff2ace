"""Threads, and processes that are forked from one with threads."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor

import joblib
import numpy as np
import pytest

import flow

# Python warns of forks in a process with threads, which is what is tested here.
pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")

SECONDS = 120


@pytest.fixture(scope="module")
def x():
    return np.random.default_rng(0).normal(size=(2000, 2))


@pytest.fixture(scope="module")
def fitted(x):
    return flow.NeuralSplineFlow(layers=2, width=32, epochs=2).fit(x)


def score_and_fit(fitted, x):
    again = flow.NeuralSplineFlow(layers=2, width=32, epochs=2).fit(x)
    return fitted.score_samples(x), again.score_samples(x), flow.get_num_threads()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system cannot fork")
def test_forked_processes_work_as_their_parent(fitted, x):
    expected = fitted.score_samples(x)
    with multiprocessing.get_context("fork").Pool(2) as pool:
        results = pool.starmap_async(score_and_fit, [(fitted, x)] * 3).get(SECONDS)
    for scored, again, threads in results:
        np.testing.assert_array_equal(scored, expected)
        np.testing.assert_array_equal(again, expected)
        assert threads == flow.get_num_threads()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system cannot fork")
def test_processes_forked_by_forked_ones_work(fitted, x):
    parent = os.fork()
    if parent == 0:
        flow.set_num_threads(2)
        fitted.score_samples(x)
        child = os.fork()
        if child == 0:
            fitted.score_samples(x)
            os._exit(7)
        _, status = os.waitpid(child, 0)
        os._exit(os.waitstatus_to_exitcode(status))
    _, status = os.waitpid(parent, 0)
    assert os.waitstatus_to_exitcode(status) == 7


@pytest.mark.parametrize("backend", ["loky", "threading", "multiprocessing"])
def test_joblib_works(backend, fitted, x):
    expected = fitted.score_samples(x)
    work = joblib.Parallel(n_jobs=2, backend=backend, timeout=SECONDS)
    for scored, again, _ in work(joblib.delayed(score_and_fit)(fitted, x) for _ in range(3)):
        np.testing.assert_array_equal(scored, expected)
        np.testing.assert_array_equal(again, expected)


def test_threads_can_share_a_flow(fitted, x):
    expected = fitted.score_samples(x)
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(fitted.score_samples, [x] * 40))
    assert all((result == expected).all() for result in results)


@pytest.mark.parametrize(
    ("said", "code", "expected"),
    [
        ("3", "", "3"),
        ("3", "flow.set_num_threads(5)", "5"),
        ("3", "flow.get_num_threads(); flow.set_num_threads(2)", "2"),
    ],
)
def test_the_environment_says_the_number_of_threads(said, code, expected):
    code = f"import flow; {code}\nprint(flow.get_num_threads())"
    environment = {**os.environ, "RAYON_NUM_THREADS": said}
    command = [sys.executable, "-c", textwrap.dedent(code)]
    shown = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == expected


def test_nothing_but_numpy_is_imported():
    code = """
        import sys, flow
        heavy = {"sklearn", "torch", "pandas", "scipy", "joblib"} & set(sys.modules)
        assert not heavy, heavy
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True)
