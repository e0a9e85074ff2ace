"""A line of progress on stderr."""

from __future__ import annotations

import sys
import time

_WIDTH = 24
_PAUSE = 0.1


class Progress:
    """Shows the epochs of a fit: a bar, and the mean ln p of held-out rows in nats."""

    def __init__(self, epochs: int, unit: str = "ln p") -> None:
        self._epochs = epochs
        self._unit = unit
        self._shown = 0.0
        self._line = ""

    def show(self, epoch: int, value: float, best: float) -> None:
        """Show that `epoch` epochs are over; rarely more than ten times a second."""
        filled = _WIDTH * epoch // self._epochs
        bar = "█" * filled + "·" * (_WIDTH - filled)
        text = f"{self._unit} {value:.4f}, best {best:.4f}"
        self._line = f"\repoch {epoch}/{self._epochs} {bar} {text}"
        if time.monotonic() - self._shown > _PAUSE:
            self._write(self._line)

    def close(self) -> None:
        """Show the last state, and end the line."""
        if self._line:
            self._write(self._line + "\n")

    def _write(self, text: str) -> None:
        self._shown = time.monotonic()
        sys.stderr.write(text)
        sys.stderr.flush()
