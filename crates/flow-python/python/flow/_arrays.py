"""Whatever holds numbers, as matrices of floats; and numbers that users give."""

from __future__ import annotations

import operator
from typing import Any, TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from flow._types import Floats

_FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


def matrix(value: Any, name: str) -> Floats:
    """`value` as a matrix of float32 or float64, without a copy if it is one.

    Parameters
    ----------
    value : array-like of shape (n, d)
        An array, a list, a data frame, or a tensor on the CPU that speaks DLPack.
    name : str
        Its name in messages.

    Raises
    ------
    TypeError
        If it does not hold real numbers.
    ValueError
        If it is not a matrix, or its numbers cannot be converted.
    """
    found = value if type(value) is np.ndarray else array(value, name)
    if found.dtype not in _FLOATS:
        found = _floats(found, name)
    if found.ndim != 2:
        raise ValueError(
            f"Expected 2D array, got {found.ndim}D array instead: {name} must have the shape"
            " (n, d). Reshape your data with .reshape(-1, 1) if it has one column, or"
            " .reshape(1, -1) if it has one row."
        )
    return found


def array(value: Any, name: str) -> Any:
    """`value` as an array of NumPy, without a copy where it can be viewed as one.

    Raises
    ------
    TypeError
        If it is sparse.
    ValueError
        If it has masked values, or is not in the memory of the CPU.
    """
    if value is None:
        raise TypeError(f"{name} must be an array, not NoneType")
    if hasattr(value, "toarray") and hasattr(value, "nnz"):
        raise TypeError(f"{name} is sparse, and flows need dense data: give {name}.toarray()")
    if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
        raise ValueError(f"{name} has masked values: leave out their rows, or fill them")
    if isinstance(value, np.ndarray):
        return np.asarray(value)
    if hasattr(value, "__dlpack__") and hasattr(value, "__dlpack_device__"):
        return _from_dlpack(value, name)
    return np.asarray(value)


def _from_dlpack(value: Any, name: str) -> Any:
    kind, _ = value.__dlpack_device__()
    if int(kind) != 1:
        raise ValueError(f"{name} is not in the memory of the CPU: copy it there first")
    try:
        return np.from_dlpack(value)
    except (BufferError, RuntimeError, TypeError) as error:
        raise ValueError(f"{name} cannot be read as an array: {error}") from error


def _floats(array: Any, name: str) -> Any:
    kind = array.dtype.kind
    if kind == "c":
        raise ValueError(f"Complex data not supported: {name} must hold real numbers")
    if kind in "USV" or kind in "mM":
        raise ValueError(f"{name} must hold numbers, not {array.dtype}")
    if kind == "f" and array.dtype.itemsize > 8:
        raise TypeError(f"{name} holds {array.dtype}: convert it to float64, which loses digits")
    return array.astype(np.float64)


def rows(array: Floats, name: str, estimator: str, least: int) -> None:
    """Refuse fewer rows than `least`, in scikit-learn's words.

    Raises
    ------
    ValueError
        If there are fewer.
    """
    found = array.shape[0]
    if found < least:
        samples = "1 sample" if found == 1 else f"{found} sample(s)"
        raise ValueError(
            f"Found array with {samples} (shape={array.shape}) while a minimum of {least} is"
            f" required by {estimator}: {name} needs more rows."
        )


def whole(value: Any, name: str, low: int, high: int) -> int:
    """`value` as a whole number within bounds.

    Raises
    ------
    TypeError
        If it is not a whole number.
    ValueError
        If it is out of bounds.
    """
    if isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be a whole number, not {value!r}")
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be a whole number, not {value!r}") from None
    if not low <= number <= high:
        raise ValueError(f"{name} must be from {low} to {high}, not {number}")
    return number


def real(value: Any, name: str) -> float:
    """`value` as a finite float.

    Raises
    ------
    TypeError
        If it is not a number.
    ValueError
        If it is not finite.
    """
    if isinstance(value, (bool, np.bool_, str, bytes)):
        raise TypeError(f"{name} must be a number, not {value!r}")
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be a number, not {value!r}") from None
    if not np.isfinite(number):
        raise ValueError(f"{name} must be finite, not {number}")
    return number


def seed(value: Any) -> int:
    """The seed that a `random_state` stands for.

    Parameters
    ----------
    value : int, RandomState, Generator or None
        A seed from 0 to 2⁶⁴ − 1; a source of seeds, from which one is drawn; None for one that
        nobody knows.

    Raises
    ------
    TypeError
        If it is something else.
    ValueError
        If it is out of bounds.
    """
    if value is None:
        return int(np.random.SeedSequence().generate_state(1, np.uint64)[0])
    if isinstance(value, np.random.RandomState):
        return int(value.randint(2**31))
    if isinstance(value, np.random.Generator):
        return int(value.integers(2**63))
    return whole(value, "random_state", 0, 2**64 - 1)
