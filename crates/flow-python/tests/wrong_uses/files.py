"""Wrong files, and wrong numbers of threads."""

from __future__ import annotations

from wrong_uses.table import row

import flow

# Files.
for name, exception, pattern in [
    ("missing", FileNotFoundError, "missing"),
    (".", ValueError, "it is a folder"),
    ("empty", ValueError, "it is empty"),
    ("text", ValueError, "is not a usable file"),
    ("cut", ValueError, "is not a usable file"),
    ("longer", ValueError, "is not a usable file"),
    ("header-only", ValueError, "is not a usable file"),
    ("zeros", ValueError, "is not a usable file"),
    ("huge-header", ValueError, "is not a usable file"),
    ("zip", ValueError, "is not a usable file"),
    ("nan", ValueError, "holds NaN"),
    ("glow.safetensors", ValueError, "it holds a model of images"),
]:
    row(
        f"load {name}",
        exception,
        pattern,
        lambda these, name=name: flow.load(these.folder / name),
    )
for name, exception, pattern, use in [
    ("load a number", TypeError, "expected str, bytes or os.PathLike|path", lambda _: flow.load(3)),
    ("load None", TypeError, "expected str, bytes or os.PathLike|path", lambda _: flow.load(None)),
    ("load another class", ValueError, "holds a NeuralSplineFlow, not a NICE", lambda these: flow.NICE.load(these.file)),
    ("save unfitted", (ValueError, AttributeError), "not fitted yet", lambda these: these.fresh.save(these.folder / "x")),
    ("save nowhere", FileNotFoundError, "no-folder", lambda these: these.fitted.save(these.folder / "no-folder" / "x")),
    ("save over a folder", OSError, "", lambda these: these.fitted.save(these.folder)),
    ("save as a number", TypeError, "expected str, bytes or os.PathLike|path", lambda these: these.fitted.save(3)),
    ("load a flow as a Glow", ValueError, "it holds a flow of vectors", lambda these: flow.Glow.load(these.file)),
    ("load a missing Glow", FileNotFoundError, "missing", lambda these: flow.Glow.load(these.folder / "missing")),
    ("bytes of nothing", ValueError, "it is empty", lambda _: flow._native.Model.from_bytes(b"")),
    ("bytes of a text", TypeError, "bytes", lambda _: flow._native.Model.from_bytes("text")),
]:
    row(name, exception, pattern, use)

# Threads.
for wrong, exception in [(0, ValueError), (5000, ValueError), (-1, OverflowError), (1.5, TypeError), ("2", TypeError)]:
    row(f"{wrong!r} threads", exception, "", lambda _, wrong=wrong: flow.set_num_threads(wrong))
