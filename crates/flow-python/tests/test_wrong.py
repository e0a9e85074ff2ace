"""Wrong uses: each raises an exception of the right type, whose message is one clear line."""

from __future__ import annotations

import re
import threading

import numpy as np
import pytest
from wrong_uses import calls, files, fits, images  # noqa: F401
from wrong_uses.table import TABLE, These, data, spoiled


@pytest.fixture(scope="module")
def these(tmp_path_factory):
    return These(tmp_path_factory.mktemp("wrong"))


@pytest.mark.parametrize("name", TABLE)
def test_a_wrong_use_is_an_exception_of_one_line(name, these):
    exception, pattern, use = TABLE[name]
    with pytest.raises(exception) as caught:
        use(these)
    message = str(caught.value)
    assert re.search(pattern, message), message
    assert "\n" not in message and len(message) < 500
    if isinstance(exception, type):
        assert type(caught.value).__mro__[0].__module__ != "pyo3_runtime"


def test_the_table_is_long():
    assert len(TABLE) >= 200


def test_flows_work_after_all_wrong_uses(these):
    assert np.isfinite(these.fitted.score_samples(data())).all()


def test_wrong_uses_of_many_threads_end_too(these):
    failures = []

    def use():
        for _ in range(20):
            try:
                these.fitted.score_samples(spoiled(np.nan))
            except ValueError:
                continue
            failures.append("no exception")

    threads = [threading.Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failures and not any(thread.is_alive() for thread in threads)
