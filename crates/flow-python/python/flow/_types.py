"""Types that annotations name."""

from __future__ import annotations

from typing import Callable, Optional, TypedDict, Union

import numpy as np
import numpy.typing as npt

Floats = Union[npt.NDArray[np.float32], npt.NDArray[np.float64]]
"""An array of float32 or float64."""

Callback = Callable[[int, float, Optional[float], bool], object]
"""Called with an epoch, its training and held-out −ln p, and whether it is the best so far."""


class Best(TypedDict):
    """The end of a fit: the number of epochs, and the best of them."""

    epochs: int
    best_epoch: int
    steps: int
    train: float
    validation: Optional[float]
