"""Wrong data, parameters, weights and contexts of fits."""

from __future__ import annotations

import re

import numpy as np
from estimators import KINDS
from wrong_uses.table import SMALL, data, row, spoiled

import flow
# Data of a fit, for every class.
FIT = {
    "NaN": (ValueError, r"X contains NaN \(row 4, column 1", lambda: spoiled(np.nan)),
    "infinity": (ValueError, r"X contains infinity \(row 4, column 1", lambda: spoiled(np.inf)),
    "minus infinity": (ValueError, "X contains infinity", lambda: spoiled(-np.inf)),
    "no rows": (ValueError, r"0 sample\(s\) \(shape=\(0, 3\)\)", lambda: np.empty((0, 3))),
    "one row": (ValueError, "1 sample ", lambda: data(rows=1)),
    "no columns": (ValueError, r"0 feature\(s\)", lambda: np.empty((9, 0))),
    "one dimension": (ValueError, "Reshape your data", lambda: data()[:, 0]),
    "three dimensions": (ValueError, "got 3D array", lambda: np.zeros((2, 3, 4))),
    "a number": (ValueError, "got 0D array", lambda: 5.0),
    "None": (TypeError, "NoneType", lambda: None),
    "texts": (ValueError, "must hold numbers, not <U", lambda: [["a", "b"], ["c", "d"]]),
    "complex numbers": (ValueError, "Complex data not supported", lambda: data() + 1j),
    "dates": (ValueError, "must hold numbers, not datetime64", lambda: data().astype("M8[s]")),
    "dicts": (TypeError, "a string or a (real )?number", lambda: np.array([[{}, {}]], object)),
}
for kind in KINDS.values():
    for name, (exception, pattern, x) in FIT.items():
        row(
            f"{kind.__name__}: {name}",
            exception,
            pattern,
            lambda _, kind=kind, x=x: kind(**SMALL).fit(x()),
        )
for kind in (flow.NeuralSplineFlow, flow.RealNVP, flow.NICE):
    row(
        f"{kind.__name__}: one column",
        ValueError,
        r"1 feature\(s\) .* for one column take AutoregressiveSplineFlow",
        lambda _, kind=kind: kind(**SMALL).fit(data(columns=1)),
    )

# Parameters: wrong types, then numbers out of bounds.
for name in ("layers", "width", "blocks", "epochs", "batch_size", "patience", "bins"):
    for wrong in ("5", 2.5, None, True, [1]):
        row(
            f"{name}={wrong!r}",
            TypeError,
            f"{name} must be a whole number, not {re.escape(repr(wrong))}",
            lambda _, change={name: wrong}: flow.NeuralSplineFlow(**{**SMALL, **change}).fit(data()),
        )
    for wrong in (0, -1, 10**30):
        row(
            f"{name}={wrong!r}",
            ValueError,
            f"{name} must be from . to .*, not {wrong}",
            lambda _, change={name: wrong}: flow.NeuralSplineFlow(**{**SMALL, **change}).fit(data()),
        )
for name in ("learning_rate", "weight_decay", "validation_fraction", "bound"):
    for wrong in ("1", None, True, [1.0], 1j):
        row(
            f"{name}={wrong!r}",
            TypeError,
            f"{name} must be a number, not {re.escape(repr(wrong))}",
            lambda _, change={name: wrong}: flow.NeuralSplineFlow(**{**SMALL, **change}).fit(data()),
        )
    for wrong in (-1.0, np.nan, np.inf):
        row(
            f"{name}={wrong!r}",
            ValueError,
            f"{name} must be .*, not {wrong}",
            lambda _, change={name: wrong}: flow.NeuralSplineFlow(**{**SMALL, **change}).fit(data()),
        )
for name, exception, pattern, wrong in [
    ("no rate", ValueError, "learning_rate must be above 0, not 0.0", {"learning_rate": 0.0}),
    ("all held out", ValueError, "validation_fraction must be .* below 1", {"validation_fraction": 1}),
    ("no dtype", ValueError, "dtype must be 'float32' or 'float64', not None", {"dtype": None}),
    ("half dtype", ValueError, "dtype must be .*, not 'float16'", {"dtype": "float16"}),
    ("integer dtype", ValueError, "dtype must be .*, not 'int32'", {"dtype": "int32"}),
    ("another dtype", ValueError, "dtype must be .*, not 'double precision'", {"dtype": "double precision"}),
    ("number dtype", ValueError, "dtype must be .*, not 32", {"dtype": 32}),
    ("text seed", TypeError, "random_state must be a whole number, not 'a'", {"random_state": "a"}),
    ("float seed", TypeError, "random_state must be a whole number, not 1.5", {"random_state": 1.5}),
    ("negative seed", ValueError, "random_state must be from 0", {"random_state": -1}),
    ("huge seed", ValueError, "random_state must be from 0", {"random_state": 2**64}),
    ("callback", TypeError, "callback must be a function, not 3", {"callback": 3}),
    ("embedding alone", ValueError, "embedding is a network for contexts", {"embedding": 4}),
    ("embedding=0", ValueError, "embedding must be from 1", {"embedding": 0}),
    ("embedding text", TypeError, "embedding must be a whole number", {"embedding": "a"}),
]:
    row(
        name,
        exception,
        pattern,
        lambda _, wrong=wrong: flow.NeuralSplineFlow(**{**SMALL, **wrong}).fit(data()),
    )
row("narrow", ValueError, "got a network of width 2", lambda _: flow.MaskedAutoregressiveFlow(layers=1, width=2).fit(data(columns=9)))
row("divergence", ValueError, "take a lower learning rate|gives ln p", lambda _: flow.RealNVP(layers=8, width=64, learning_rate=1e30, epochs=50, dtype="float64").fit(data(600)))
row("unknown parameter", TypeError, "unexpected keyword argument 'depth'", lambda _: flow.RealNVP(depth=3))
row("positional parameter", TypeError, "positional argument", lambda _: flow.RealNVP(3))
row("set unknown", ValueError, "Invalid parameter 'depth' for estimator RealNVP", lambda _: flow.RealNVP().set_params(depth=3))
row("too large for the type", ValueError, "too large", lambda _: flow.RealNVP(**SMALL).fit(spoiled(1e300)))
row("variance too large", ValueError, "too large", lambda _: flow.RealNVP(**SMALL, dtype="float64").fit(data() * 1e200))

# Weights and contexts of a fit.
for name, exception, pattern, weights in [
    ("few weights", ValueError, "a weight for each of 60 samples, not of shape \\(59,\\)", lambda: np.ones(59)),
    ("wide weights", ValueError, "not of shape \\(60, 1\\)", lambda: np.ones((60, 1))),
    ("one weight", ValueError, "not of shape \\(\\)", lambda: 1.0),
    ("negative weight", ValueError, "0 or more, not -1.0 \\(row 5\\)", lambda: np.where(np.arange(60) == 5, -1.0, 1.0)),
    ("NaN weight", ValueError, "finite and 0 or more, not nan", lambda: np.full(60, np.nan)),
    ("infinite weight", ValueError, "finite and 0 or more, not inf", lambda: np.full(60, np.inf)),
    ("zero weights", ValueError, "all weights are zero", lambda: np.zeros(60)),
    ("text weights", TypeError, "sample_weight must hold numbers", lambda: ["a"] * 60),
]:
    row(
        name,
        exception,
        pattern,
        lambda _, weights=weights: flow.RealNVP(**SMALL).fit(data(), sample_weight=weights()),
    )
for name, exception, pattern, context in [
    ("few contexts", ValueError, "a row for each of 60 samples, not 59", lambda: data(59, 2)),
    ("flat context", ValueError, "context must have the shape", lambda: np.ones(60)),
    ("empty context", ValueError, "context has no columns", lambda: np.empty((60, 0))),
    ("NaN context", ValueError, "context contains NaN \\(row 4, column 1", lambda: spoiled(np.nan)),
    ("text context", ValueError, "context must hold numbers", lambda: [["a"]] * 60),
]:
    row(
        name,
        exception,
        pattern,
        lambda _, context=context: flow.RealNVP(**SMALL).fit(data(), context=context()),
    )
