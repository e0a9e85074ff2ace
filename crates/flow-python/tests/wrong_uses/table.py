"""The table of wrong uses, and what its rows name."""

from __future__ import annotations

import numpy as np

import flow

SMALL = {"layers": 1, "width": 8, "epochs": 1}


def data(rows=60, columns=3):
    return np.random.default_rng(0).normal(size=(rows, columns))


def spoiled(value, row=4, column=1):
    x = data()
    x[row, column] = value
    return x


class These:
    """Fitted flows, models and files."""

    def __init__(self, folder):
        self.folder = folder
        self.fresh = flow.NeuralSplineFlow(**SMALL)
        self.fitted = flow.NeuralSplineFlow(**SMALL).fit(data())
        self.given = flow.RealNVP(**SMALL).fit(data(), context=data(columns=2))
        self.glow = flow.Glow.pretrained("mnist")
        self.digits = flow.Glow.pretrained("mnist-classes")
        self.images = np.zeros((2, 1, 28, 28), np.uint8)
        self.file = folder / "flow.safetensors"
        self.fitted.save(self.file)
        self.glow.save(folder / "glow.safetensors")
        content = self.file.read_bytes()
        damaged = {
            "empty": b"",
            "text": b"not a flow at all, but a text",
            "cut": content[:-5],
            "longer": content + b"12345",
            "header-only": content[:300],
            "zeros": bytes(1000),
            "huge-header": (2**63).to_bytes(8, "little") + content[8:],
            "zip": b"PK\x03\x04" + content,
            "nan": content[:-4] + np.float32(np.nan).tobytes(),
        }
        for name, part in damaged.items():
            (folder / name).write_bytes(part)


TABLE = {}


def row(name, exception, pattern, use):
    """A use, the exception that it raises, and a pattern of its message."""
    assert name not in TABLE, name
    TABLE[name] = (exception, pattern, use)
