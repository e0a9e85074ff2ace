"""Wrong calls of fitted flows, posteriors and calibration."""

from __future__ import annotations

import numpy as np
from wrong_uses.table import data, row, spoiled

import flow

# Fitted flows.
METHODS = ("score_samples", "score", "transform", "inverse_transform")
for method in METHODS:
    for name, exception, pattern, x in [
        ("narrow", ValueError, "has 2 features, but NeuralSplineFlow is expecting 3", lambda: data(columns=2)),
        ("wide", ValueError, "has 4 features", lambda: data(columns=4)),
        ("flat", ValueError, "Reshape your data", lambda: data()[0]),
        ("no rows", ValueError, r"0 sample\(s\)", lambda: np.empty((0, 3))),
        ("NaN", ValueError, r"contains NaN \(row 4, column 1", lambda: spoiled(np.nan)),
        ("infinity", ValueError, r"contains infinity", lambda: spoiled(np.inf)),
        ("too large", ValueError, r"infinity or a number too large for its type", lambda: spoiled(1e300)),
        ("text", ValueError, "must hold numbers", lambda: [["a", "b", "c"]]),
        ("complex", ValueError, "Complex data", lambda: data() * 1j),
        ("masked", ValueError, "has masked values", lambda: np.ma.masked_greater(data(), 0.5)),
    ]:
        row(
            f"{method}: {name}",
            exception,
            pattern,
            lambda these, method=method, x=x: getattr(these.fitted, method)(x()),
        )
    row(
        f"{method}: unfitted",
        (ValueError, AttributeError),
        "not fitted yet",
        lambda these, method=method: getattr(these.fresh, method)(data()),
    )
    row(
        f"{method}: no context",
        ValueError,
        "fitted with a context; give `context`",
        lambda these, method=method: getattr(these.given, method)(data()),
    )
    row(
        f"{method}: a context too many",
        ValueError,
        "fitted without a context",
        lambda these, method=method: getattr(these.fitted, method)(data(), context=data()),
    )
    row(
        f"{method}: a wide context",
        ValueError,
        "context has 3 columns, but the flow was fitted with 2",
        lambda these, method=method: getattr(these.given, method)(data(), context=data()),
    )
    row(
        f"{method}: few contexts",
        ValueError,
        "context must have 1 row or 60, not 7",
        lambda these, method=method: getattr(these.given, method)(data(), context=data(7, 2)),
    )
for name, exception, pattern, use in [
    ("no draws", ValueError, "n_samples must be from 1", lambda these: these.fitted.sample(0)),
    ("negative draws", ValueError, "n_samples must be from 1", lambda these: these.fitted.sample(-3)),
    ("half a draw", TypeError, "n_samples must be a whole number, not 2.5", lambda these: these.fitted.sample(2.5)),
    ("text draws", TypeError, "n_samples must be a whole number", lambda these: these.fitted.sample("9")),
    ("more draws than memory", MemoryError, "Unable to allocate", lambda these: these.fitted.sample(2**39)),
    ("more draws than numbers", ValueError, "n_samples must be from 1", lambda these: these.fitted.sample(2**80)),
    ("draws by a text", TypeError, "random_state must be", lambda these: these.fitted.sample(1, random_state="x")),
    ("draws unfitted", (ValueError, AttributeError), "not fitted yet", lambda these: these.fresh.sample()),
    ("draws given nothing", ValueError, "give `context`", lambda these: these.given.sample(3)),
    ("draws given too much", ValueError, "without a context", lambda these: these.fitted.sample(3, context=[1.0])),
    ("draws given a wide context", ValueError, "context has 3 columns", lambda these: these.given.sample(3, context=[1.0, 2.0, 3.0])),
    ("draws given NaN", ValueError, "context contains NaN", lambda these: these.given.sample(3, context=[1.0, np.nan])),
    ("draws given a cube", ValueError, "got 3D array", lambda these: these.given.sample(3, context=np.zeros((1, 1, 2)))),
    ("calibrate a plain flow", ValueError, "without a context", lambda these: flow.sbc_ranks(these.fitted, data(), data(columns=2))),
    ("calibrate a text", TypeError, "flow must be an estimator", lambda these: flow.sbc_ranks("flow", data(), data())),
    ("calibrate by one draw", ValueError, "draws must be from 2", lambda these: flow.sbc_ranks(these.given, data(), data(columns=2), draws=1)),
    ("calibrate unequal", ValueError, "a row for each of 60 truths, not 5", lambda these: flow.sbc_ranks(these.given, data(), data(5, 2))),
    ("calibrate without contexts", ValueError, "needs the context", lambda these: flow.sbc_ranks(these.given, data(), None)),
    ("posterior of a plain flow", ValueError, "fitted without a context", lambda these: flow.Posterior(these.fitted)),
    ("posterior unfitted", (ValueError, AttributeError), "not fitted yet", lambda these: flow.Posterior(these.fresh)),
    ("posterior of a number", TypeError, "flow must be an estimator", lambda these: flow.Posterior(3)),
    ("posterior of nothing", ValueError, "there is no observation", lambda these: flow.Posterior(these.given).sample((2,))),
    ("posterior of a wide observation", ValueError, "one observation of 2 numbers", lambda these: flow.Posterior(these.given, [1.0, 2.0, 3.0])),
    ("posterior of two observations", ValueError, "one observation of 2 numbers", lambda these: flow.Posterior(these.given, data(2, 2))),
    ("posterior by a number", TypeError, "sample_shape must be a tuple", lambda these: flow.Posterior(these.given, [1.0, 2.0]).sample(5)),
    ("posterior by a negative number", ValueError, "sample_shape must be from 0", lambda these: flow.Posterior(these.given, [1.0, 2.0]).sample((-5,))),
]:
    row(name, exception, pattern, use)
