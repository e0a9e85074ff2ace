"""Glows of other programs, and for them."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flow import _native
from flow._glow import Glow


def convert(
    source: str | os.PathLike[str] | Mapping[str, Any],
    *,
    prefix: str | None = None,
    **facts: Any,
) -> Glow:
    """Read a Glow that another program has trained.

    Parameters
    ----------
    source : path or mapping
        A file of PyTorch (``.pt``) or safetensors, whose code is never run; or a state dict of
        torch, where torch is there.
    prefix : str, optional
        Chooses one of several models in the file: keys and the beginnings of names.
    **facts
        What a state dict does not tell: ``size`` (height and width), ``levels``, ``steps``,
        ``hidden``, ``channels``, ``bits``, ``kind`` and others; docs/conversion.md lists them.

    Returns
    -------
    Glow

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If it holds no known model, or the facts are wrong or incomplete.
    """
    try:
        told = json.dumps(facts)
    except TypeError as error:
        raise TypeError(f"facts must be numbers, texts and lists: {error}") from None
    with tempfile.TemporaryDirectory() as folder:
        if isinstance(source, Mapping):
            path: str | os.PathLike[str] = Path(folder, "state-dict.pt")
            _torch().save(dict(source), path)
        elif isinstance(source, (str, os.PathLike)):
            path = source
        else:
            raise TypeError(f"source must be a path or a state dict, not {source!r}")
        out = Path(folder, "model.safetensors")
        _native.import_glow(path, out, prefix, told)
        return Glow.load(out)


def export(glow: Glow, program: str, path: str | os.PathLike[str]) -> list[str]:
    """Write a Glow as a state dict for another program.

    Parameters
    ----------
    glow : Glow
        A trained model.
    program : {"nflows", "normflows", "rosinality"}
        The program.
    path : str or path
        A safetensors file, for ``model.load_state_dict(safetensors.torch.load_file(path))``.

    Returns
    -------
    list of str
        Notes for its users: the form of a pixel that the model sees, and parts that it needs.

    Raises
    ------
    OSError
        If the file cannot be written.
    ValueError
        If the program has no such models; the message names all settings in the way.
    """
    if not isinstance(glow, Glow):
        raise TypeError(f"glow must be a Glow, not {glow!r}")
    return _native.export_glow(glow._fitted(), program, path)


def _torch() -> Any:
    """torch, which whoever has a state dict has imported."""
    torch = sys.modules.get("torch")
    if torch is None:
        raise TypeError("a state dict needs torch: give the path of its file instead")
    return torch
