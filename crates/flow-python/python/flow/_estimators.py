"""The estimators: a class for each recipe."""

from __future__ import annotations

import os
from typing import Any

from flow import _arrays, _files
from flow._flow import Flow
from flow._native import Model
from flow._types import Callback


class _SplineFlow(Flow):
    def __init__(
        self,
        *,
        bins: int = 8,
        bound: float = 3.0,
        layers: int = 5,
        width: int = 64,
        blocks: int = 2,
        epochs: int = 100,
        batch_size: int = 256,
        learning_rate: float = 1e-3,
        weight_decay: float = 0.0,
        validation_fraction: float = 0.1,
        patience: int = 10,
        embedding: int | None = None,
        dtype: str = "float32",
        random_state: Any = 0,
        verbose: bool = False,
        callback: Callback | None = None,
    ) -> None:
        super().__init__(
            layers=layers,
            width=width,
            blocks=blocks,
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            validation_fraction=validation_fraction,
            patience=patience,
            embedding=embedding,
            dtype=dtype,
            random_state=random_state,
            verbose=verbose,
            callback=callback,
        )
        self.bins = bins
        self.bound = bound

    def _transform(self) -> dict[str, Any]:
        bound = _arrays.real(self.bound, "bound")
        if bound <= 0.0:
            raise ValueError(f"bound must be above 0, not {bound}")
        return {"bins": _arrays.whole(self.bins, "bins", 2, 512), "bound": bound}


class NeuralSplineFlow(_SplineFlow):
    """Couplings of rational-quadratic splines, each after an LU linear map.

    The best choice for most data of two or more columns: fast both ways. Durkan et al. 2019
    (arXiv:1906.04032).
    """

    _recipe = "nsf"


class AutoregressiveSplineFlow(_SplineFlow):
    """Autoregressive rational-quadratic splines.

    Often a little better than couplings; draws take one pass a column. Also of one column. RQ-NSF
    (AR) of Durkan et al. 2019 (arXiv:1906.04032).
    """

    _recipe = "nsf-ar"
    _least_features = 1


class RealNVP(Flow):
    """Affine couplings, each after an ActNorm. Dinh et al. 2017 (arXiv:1605.08803)."""

    _recipe = "realnvp"


class MaskedAutoregressiveFlow(Flow):
    """Affine autoregressive layers.

    Densities take one pass, draws one a column. Also of one column. Papamakarios et al. 2017
    (arXiv:1705.07057).
    """

    _recipe = "maf"
    _least_features = 1


class InverseAutoregressiveFlow(Flow):
    """Inverses of affine autoregressive layers.

    Draws take one pass, densities one a column, so fits are slow. Also of one column. Kingma et al.
    2016 (arXiv:1606.04934).
    """

    _recipe = "iaf"
    _least_features = 1


class NICE(Flow):
    """Additive couplings, then a scale for each column. Dinh et al. 2015 (arXiv:1410.8516)."""

    _recipe = "nice"


def load(path: str | os.PathLike[str]) -> Flow:
    """Read a flow of vectors from a file, as an estimator of its class.

    Parameters
    ----------
    path : str or path
        A file that ``save`` or the command ``flow fit`` wrote.

    Returns
    -------
    Flow

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If it holds no flow that one of the classes stands for.
    """
    model = Model.load(path)
    recipe, sizes, names = _files.described(model)
    if recipe is None:
        raise ValueError(f"`{os.fspath(path)}` holds a flow of layers that no class stands for")
    return Flow._classes[recipe]._of(model, sizes, names)
