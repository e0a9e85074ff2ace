"""Glows of images."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from typing import Any, Optional, TypeVar

import numpy as np
import numpy.typing as npt

from flow import _arrays, _native
from flow._params import Parameters, refuse_unfitted
from flow._progress import Progress
from flow._types import Floats

_Self = TypeVar("_Self", bound="Glow")

Pixels = npt.NDArray[np.uint8]
Report = Optional[Callable[[int, float], object]]


class Glow(Parameters):
    """Glow, a normalizing flow for images (Kingma & Dhariwal 2018, arXiv:1807.03039).

    ``load`` and ``pretrained`` give a trained one, ``fit`` trains one.

    Parameters
    ----------
    preset : {"small", "base", "paper"}
        Size of the model; the next four change parts of it.
    levels, steps, width : int or None
        Levels, flow steps of a level, and hidden channels of the coupling networks.
    last_steps : int or None
        Flow steps of the last level, the coarsest; None for as many as in the others.
    bits : int
        Bits kept of a pixel, 1 to 8.
    equalize : bool
        Gives frequent pixel values more room; otherwise the model sees a pixel as the preset does.
    learned_noise : bool
        Learns the noise between pixel values instead of taking uniform noise.
    batch_size : int
        Images of a step.
    learning_rate : float or None
        Learning rate of Adam at the beginning; None for that of the preset.
    random_state : int, RandomState, Generator or None
        Seed of weights, noise and batches.
    verbose : bool
        Shows a line of progress on stderr.

    Examples
    --------
    >>> import flow
    >>> glow = flow.Glow.pretrained("mnist")
    >>> images = glow.sample(2, temperature=0.7)
    >>> images.shape, images.dtype
    ((2, 1, 28, 28), dtype('uint8'))
    >>> glow.bits_per_dim(images).shape
    (2,)
    """

    def __init__(
        self,
        *,
        preset: str = "small",
        levels: int | None = None,
        steps: int | None = None,
        last_steps: int | None = None,
        width: int | None = None,
        bits: int = 8,
        equalize: bool = True,
        learned_noise: bool = True,
        batch_size: int = 32,
        learning_rate: float | None = None,
        random_state: Any = 0,
        verbose: bool = False,
    ) -> None:
        self.preset = preset
        self.levels = levels
        self.steps = steps
        self.last_steps = last_steps
        self.width = width
        self.bits = bits
        self.equalize = equalize
        self.learned_noise = learned_noise
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.random_state = random_state
        self.verbose = verbose

    @classmethod
    def load(cls: type[_Self], path: str | os.PathLike[str], dtype: str = "float32") -> _Self:
        """Read a model that ``save``, ``flow train`` or ``flow convert`` wrote.

        Parameters
        ----------
        path : str or path
            A ``model.safetensors``.
        dtype : {"float32", "float64"}
            float64 is slow, and exact where float32 is not: ``decode`` gives back every pixel.

        Raises
        ------
        OSError
            If the file cannot be read.
        ValueError
            If it holds no model of images.
        """
        return cls._of(_native.Glow.load(path), dtype)

    @classmethod
    def pretrained(cls: type[_Self], name: str, dtype: str = "float32") -> _Self:
        """A model that ships with this package.

        Parameters
        ----------
        name : {"mnist", "mnist-classes"}
            Digits, without classes or with them.
        dtype : {"float32", "float64"}
            As for ``load``.
        """
        return cls._of(_native.Glow.pretrained(name), dtype)

    @classmethod
    def _of(cls: type[_Self], model: _native.Glow, dtype: str) -> _Self:
        if dtype not in ("float32", "float64"):
            raise ValueError(f"dtype must be 'float32' or 'float64', not {dtype!r}")
        config = json.loads(model.header)["model"]
        sizes = {name: config[name] for name in ("levels", "steps", "width", "bits")}
        glow = cls(
            **sizes,
            last_steps=config.get("last_steps"),
            equalize="equalized" in config["preprocessing"],
            learned_noise="variational" in config["dequantization"],
        )
        glow.model_ = model if dtype == "float32" else model.in_double()
        return glow

    model_: _native.Glow

    def fit(
        self: _Self,
        images: Any,
        labels: Any = None,
        *,
        epochs: int = 20,
        callback: Report = None,
    ) -> _Self:
        """Train the model by maximum likelihood.

        Ctrl-C raises ``KeyboardInterrupt`` after the step at hand.

        Parameters
        ----------
        images : array of uint8, of shape (n, channels, height, width) or (n, height, width)
            Images.
        labels : array-like of int, of shape (n,), optional
            Their classes from 0: the model tells these apart.
        epochs : int
            Passes over the images.
        callback : callable, optional
            Called after every epoch with its number and the mean bits per dimension of its steps. If
            it returns true the training ends.

        Returns
        -------
        self
        """
        pixels = _pixels(images)
        marks = None if labels is None else _labels(labels, len(pixels))
        classes = 0 if marks is None else max(marks, default=0) + 1
        options = self._options(_arrays.whole(epochs, "epochs", 1, 2**31))
        if callback is not None and not callable(callback):
            raise TypeError(f"callback must be a function, not {callback!r}")
        progress = Progress(options["epochs"], "bits/dim") if self.verbose else None
        best = np.inf

        def report(epoch: int, bits: float) -> object:
            nonlocal best
            best = min(best, bits)
            if progress is not None:
                progress.show(epoch, bits, best)
            return callback is not None and callback(epoch, bits)

        try:
            self.model_ = _native.train_glow(pixels, marks, classes, options, report)
        finally:
            if progress is not None:
                progress.close()
        return self

    def _options(self, epochs: int) -> dict[str, Any]:
        def optional(name: str, most: int) -> int | None:
            value = getattr(self, name)
            return None if value is None else _arrays.whole(value, name, 1, most)

        rate = self.learning_rate
        return {
            "preset": self.preset,
            "levels": optional("levels", 16),
            "steps": optional("steps", 256),
            "last_steps": optional("last_steps", 256),
            "width": optional("width", 8192),
            "bits": _arrays.whole(self.bits, "bits", 1, 8),
            "equalize": bool(self.equalize),
            "learned_noise": bool(self.learned_noise),
            "epochs": epochs,
            "batch_size": _arrays.whole(self.batch_size, "batch_size", 1, 2**20),
            "learning_rate": None if rate is None else _arrays.real(rate, "learning_rate"),
            "seed": _arrays.seed(self.random_state),
        }

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model to a safetensors file, which the command ``flow`` reads too.

        Raises
        ------
        OSError
            If it cannot be written.
        """
        self._fitted().save(path)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of an image."""
        channels, height, width = self._fitted().shape
        return channels, height, width

    @property
    def classes(self) -> int:
        """The number of classes; 0 for a model without them."""
        return self._fitted().classes

    def log_prob(
        self, images: Any, labels: Any = None, *, condition: Any = None, random_state: Any = 0
    ) -> npt.NDArray[np.float64]:
        """ln P of images, a lower bound by one draw of the noise between pixel values.

        Parameters
        ----------
        images : array of uint8, of shape (n, channels, height, width) or (n, height, width)
            Images.
        labels : int or array-like of int, of shape (n,), optional
            Their classes; without them, all classes are equally likely.
        condition : array-like of shape (n, k), optional
            The numbers that a conditional model takes.
        random_state : int, RandomState, Generator or None
            Seed of the noise.

        Returns
        -------
        array of shape (n,)
            In nats.
        """
        return self._observed(images, labels, condition, random_state)[0]

    def bits_per_dim(
        self, images: Any, labels: Any = None, *, condition: Any = None, random_state: Any = 0
    ) -> npt.NDArray[np.float64]:
        """−log₂ P of images over the number of their pixels and channels.

        Parameters
        ----------
        images, labels, condition, random_state
            As for ``log_prob``.

        Returns
        -------
        array of shape (n,)
        """
        return self._observed(images, labels, condition, random_state)[1]

    def _observed(
        self, images: Any, labels: Any, condition: Any, random_state: Any
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        pixels = self._images(images)
        given = self._given(labels, condition, len(pixels))
        nats, bits = self.model_.log_prob(pixels, _arrays.seed(random_state), given)
        return np.array(nats), np.array(bits)

    def encode(self, images: Any, labels: Any = None, *, condition: Any = None) -> list[Floats]:
        """Latents of images, without noise.

        Parameters
        ----------
        images, labels, condition
            As for ``log_prob``; a model with classes needs labels.

        Returns
        -------
        list of arrays, of shape (n, c, h, w) each
            One of each level, nearly independent standard normals.
        """
        pixels = self._images(images)
        return self.model_.encode(pixels, self._given(labels, condition, len(pixels)))

    def decode(
        self, latents: Sequence[Any], labels: Any = None, *, condition: Any = None
    ) -> Pixels:
        """Images of latents.

        Parameters
        ----------
        latents : list of arrays, of shape (n, c, h, w) each
            One of each level, as ``encode`` gives them.
        labels, condition
            As for ``encode``.

        Returns
        -------
        array of uint8, of shape (n, channels, height, width)
        """
        model = self._fitted()
        levels = [np.asarray(latent) for latent in latents]
        levels = [level if level.dtype.kind == "f" else level.astype(float) for level in levels]
        count = len(levels[0]) if levels and levels[0].ndim else 0
        if any(level.ndim == 0 or len(level) != count for level in levels):
            raise ValueError("the latents of all levels must be of the same number of images")
        return model.decode(levels, self._given(labels, condition, count))

    def sample(
        self,
        count: int = 1,
        temperature: float = 0.7,
        seed: Any = 0,
        label: Any = None,
        *,
        condition: Any = None,
    ) -> Pixels:
        """Draw images.

        Parameters
        ----------
        count : int
            Number of images.
        temperature : float
            Scale of the latents; below 1 images are more usual and less diverse.
        seed : int, RandomState, Generator or None
            Seed of the draws.
        label : int or array-like of int, of shape (count,), optional
            Their classes; by default each class in turn, if the model has classes.
        condition : array-like of shape (count, k), optional
            The numbers that a conditional model takes.

        Returns
        -------
        array of uint8, of shape (count, channels, height, width)
        """
        model = self._fitted()
        count = _arrays.whole(count, "count", 1, 2**40)
        heat = _arrays.real(temperature, "temperature")
        # A clear error instead of an end for want of memory.
        np.empty((count, *model.shape), np.float64)
        if label is None and condition is None and model.classes:
            label = np.arange(count) % model.classes
        given = self._given(label, condition, count)
        return model.sample(count, heat, _arrays.seed(seed), given)

    def class_posterior(self, images: Any, *, random_state: Any = 0) -> Floats:
        """Probabilities of the classes of images, under equally likely classes.

        Parameters
        ----------
        images
            As for ``log_prob``.
        random_state : int, RandomState, Generator or None
            Seed of the noise between pixel values.

        Returns
        -------
        array of shape (n, classes)
        """
        return self.model_.class_posterior(self._images(images), _arrays.seed(random_state))

    def _fitted(self) -> _native.Glow:
        try:
            return self.model_
        except AttributeError:
            refuse_unfitted(self)

    def _images(self, images: Any) -> Pixels:
        self._fitted()
        pixels: Pixels = _pixels(images)
        return pixels

    def _given(self, labels: Any, condition: Any, count: int) -> Any:
        if labels is not None and condition is not None:
            raise ValueError("give labels or a condition, not both")
        if labels is not None:
            if np.ndim(labels) == 0:
                labels = np.full(count, labels)
            return _labels(labels, count)
        if condition is None:
            return None
        numbers = _arrays.matrix(condition, "condition")
        if len(numbers) not in (1, count):
            raise ValueError(f"condition must have 1 row or {count}, not {len(numbers)}")
        return numbers


def _pixels(images: Any) -> Any:
    array: Any = images if type(images) is np.ndarray else _arrays.array(images, "images")
    if array.dtype != np.uint8:
        raise TypeError(f"images must hold uint8, from 0 to 255, not {array.dtype}")
    if array.ndim == 3:
        array = array[:, np.newaxis]
    if array.ndim != 4:
        raise ValueError(
            "images must have the shape (n, channels, height, width) or (n, height, width), not"
            f" {array.shape}"
        )
    return array


def _labels(labels: Any, count: int) -> list[int]:
    array = np.asarray(labels)
    if array.shape != (count,):
        raise ValueError(f"labels must be one for each of {count} images, not {array.shape}")
    if array.dtype.kind not in "iu":
        raise TypeError(f"labels must be whole numbers from 0, not {array.dtype}")
    if len(array) and (array.min() < 0 or array.max() >= 2**16):
        raise ValueError("labels must be classes from 0 to 65535")
    return [int(label) for label in array]
