"""Notes in the files of models, and the estimators that such files stand for."""

from __future__ import annotations

import json
from typing import Any, TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from flow._native import Model
    from flow._types import Floats


def notes(x: Floats, context: Floats | None, names: list[str], recipe: str, seed: int) -> str:
    """Notes for the file of a model, as the command line writes them for a table.

    Parameters
    ----------
    x : array of shape (n, d)
    context : array of shape (n, k) or None
    names : list of str
        Names of the columns of both.
    """
    columns = [_column(name, column) for name, column in zip(names, x.T)]
    given = names[len(columns) :]
    schema = {"columns": columns}
    if context is not None:
        schema["given"] = [_column(name, column) for name, column in zip(given, context.T)]
    rows = {"schema": schema, "table": "a NumPy array", "recipe": recipe}
    return json.dumps({**rows, "rows": len(x), "seed": seed})


def _column(name: str, numbers: Floats) -> dict[str, Any]:
    with np.errstate(over="ignore", invalid="ignore"):
        mean = float(numbers.mean(dtype=np.float64))
        std = float(numbers.std(dtype=np.float64))
    if not np.isfinite(std):
        raise ValueError(f"the column {name} has numbers too large for their mean or variance")
    low, high = float(numbers.min()), float(numbers.max())
    return {"name": name, "kind": "real", "low": low, "high": high, "mean": mean, "std": std}


def described(model: Model) -> tuple[str | None, dict[str, Any], list[str] | None]:
    """The recipe, the sizes and the names of the columns of a model.

    The recipe is None if no recipe makes such layers; names are None if the file has none.
    """
    architecture, written = (json.loads(text) for text in model.description)
    layers = [_moving(layer) for _, layer in architecture["layers"]]
    moving = [layer for layer in layers if layer is not None]
    kinds = {(layer["kind"], layer["inverse"], _transform(layer)) for layer in moving}
    recipe = _RECIPES.get(next(iter(kinds))) if len(kinds) == 1 else None
    sizes: dict[str, Any] = {"layers": len(moving), "dtype": model.dtype}
    if moving:
        sizes.update(width=moving[0]["network"]["width"], blocks=moving[0]["network"]["blocks"])
    context = architecture["context"]
    if context and context["embedding"]:
        sizes["embedding"] = context["embedding"][1]
    if recipe in ("nsf", "nsf-ar"):
        transform = moving[0]["transform"]
        sizes.update(bins=transform["bins"], bound=transform["bound"])
    try:
        names = [str(column["name"]) for column in written["schema"]["columns"]]
    except (KeyError, TypeError):
        names = None
    return recipe, sizes, names


def _moving(layer: dict[str, Any]) -> dict[str, Any] | None:
    """A layer with a network, or None."""
    inverse = layer["kind"] == "inverse"
    layer = layer["of"] if inverse else layer
    return {**layer, "inverse": inverse} if "network" in layer else None


def _transform(layer: dict[str, Any]) -> str:
    return str(layer["transform"]["kind"])


_RECIPES = {
    ("coupling", False, "spline"): "nsf",
    ("autoregressive", False, "spline"): "nsf-ar",
    ("coupling", False, "affine"): "realnvp",
    ("autoregressive", False, "affine"): "maf",
    ("autoregressive", True, "affine"): "iaf",
    ("coupling", False, "additive"): "nice",
}
