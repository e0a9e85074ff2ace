"""What a fit asks of samples, contexts and weights."""

from __future__ import annotations

import warnings
from typing import Any, TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from flow._types import Floats


def names(value: Any) -> list[str] | None:
    """Names of the columns of a data frame; None for anything else."""
    columns = getattr(value, "columns", None)
    if columns is None:
        return None
    names = list(columns)
    return names if names and all(isinstance(name, str) for name in names) else None


def labels(
    x: Floats, context: Floats | None, names: list[str] | None, given: list[str] | None
) -> list[str]:
    """Names of the columns of samples and contexts: x0, x1, …, c0, c1, … where there are none."""
    names = names or [f"x{index}" for index in range(x.shape[1])]
    if context is None:
        return names
    return names + (given or [f"c{index}" for index in range(context.shape[1])])


def check_finite(array: Floats, name: str) -> None:
    """Refuse numbers that are not finite, by the place of the first."""
    # Zero times a number is zero, unless the number is not finite.
    with np.errstate(invalid="ignore"):
        if array.size == 0 or np.isfinite((array * 0.0).sum()):
            return
    row, column = np.argwhere(~np.isfinite(array))[0]
    kind = "NaN" if np.isnan(array[row, column]) else "infinity"
    raise ValueError(f"{name} contains {kind} (row {row}, column {column}, counted from 0)")


def check_context(context: Floats, rows: int) -> None:
    """Refuse contexts that are not one for each of `rows` samples, or not finite."""
    if len(context) != rows:
        raise ValueError(f"context must have a row for each of {rows} samples, not {len(context)}")
    if context.shape[1] == 0:
        raise ValueError("context has no columns: leave it out, or give some")
    check_finite(context, "context")


def weights(value: Any, rows: int) -> list[float]:
    """Weights of `rows` samples, which must be finite, 0 or more, and not all zero."""
    weights = np.asarray(value)
    if weights.shape != (rows,):
        raise ValueError(
            f"sample_weight must be a 1D array with a weight for each of {rows} samples, not of"
            f" shape {weights.shape}"
        )
    if weights.dtype.kind not in "fiub":
        raise TypeError(f"sample_weight must hold numbers, not {weights.dtype}")
    bad = np.flatnonzero(~(np.isfinite(weights) & (weights >= 0)))
    if len(bad):
        row = bad[0]
        raise ValueError(
            f"sample_weight must be finite and 0 or more, not {weights[row]} (row {row})"
        )
    if not weights.any():
        raise ValueError("sample_weight must have a weight above 0: all weights are zero")
    return [float(weight) for weight in weights]


def warn_of_precision(x: Floats, dtype: str) -> None:
    """Warn of columns whose variation float32 does not resolve."""
    if dtype == "float64" or x.dtype == np.float32:
        return
    least, most = x.min(axis=0), x.max(axis=0)
    step = np.maximum(np.abs(least), np.abs(most)) * np.finfo(np.float32).eps
    coarse = np.flatnonzero((most > least) & (most - least < 2**12 * step))
    if len(coarse):
        column = coarse[0]
        warnings.warn(
            f"column {column} of X varies between {least[column]} and {most[column]}, which"
            " float32 resolves in less than 4096 steps: take dtype='float64'",
            stacklevel=3,
        )
