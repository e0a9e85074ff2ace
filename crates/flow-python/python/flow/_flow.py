"""The base of the estimators of vectors, in scikit-learn's manner."""

from __future__ import annotations

import os
from typing import Any, ClassVar, TypeVar

import numpy as np

from flow import _arrays, _files, _samples
from flow._native import Model
from flow._params import Parameters, refuse_unfitted
from flow._progress import Progress
from flow._types import Callback, Floats

_Self = TypeVar("_Self", bound="Flow")

_LARGEST = 2**31


class Flow(Parameters):
    """A normalizing flow of vectors; the base of the estimators of this package.

    Parameters
    ----------
    layers : int
        Number of couplings or autoregressive layers.
    width : int
        Width of their networks.
    blocks : int
        Residual blocks of their networks.
    epochs : int
        Largest number of passes over the data.
    batch_size : int
        Rows of a step.
    learning_rate : float
        Learning rate of Adam at the beginning; it falls to zero along a cosine.
    weight_decay : float
        Decoupled weight decay, as AdamW has it.
    validation_fraction : float
        Share of the rows that is held out, by which epochs are compared; 0 for none.
    patience : int
        Epochs without improvement after which the fit ends. The best weights are kept.
    embedding : int or None
        Outputs of a network between the context and the layers, trained along; None for no such
        network.
    dtype : {"float32", "float64"}
        Type of weights, samples and densities. float32 is several times faster.
    random_state : int, RandomState, Generator or None
        Seed of weights, batches and held-out rows. Equal seeds give equal bits, with any number of
        threads.
    verbose : bool
        Shows a line of progress on stderr.
    callback : callable or None
        Called after every epoch with its number, the mean −ln p of training and of held-out rows in
        nats (None if none are), and whether it is the best so far. If it returns true the fit ends,
        with the best weights.

    Attributes
    ----------
    n_features_in_ : int
        d, the columns of a sample.
    n_context_in_ : int
        k, the columns of a context; 0 if the flow takes none.
    feature_names_in_ : array of shape (d,)
        Names of the columns, if the flow was fitted to a data frame.
    n_epochs_, best_epoch_ : int
        Number of epochs, and the one whose weights were kept.
    history_ : list of (float, float or None)
        Mean −ln p of training and held-out rows after each epoch, in nats.
    """

    _recipe: ClassVar[str]
    _least_features: ClassVar[int] = 2
    # The estimators, by recipe.
    _classes: ClassVar[dict[str, type[Flow]]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "_recipe" in cls.__dict__:
            Flow._classes[cls._recipe] = cls

    n_features_in_: int
    n_context_in_: int
    n_epochs_: int
    best_epoch_: int
    history_: list[tuple[float, float | None]]

    def __init__(
        self,
        *,
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
        self.layers = layers
        self.width = width
        self.blocks = blocks
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.embedding = embedding
        self.dtype = dtype
        self.random_state = random_state
        self.verbose = verbose
        self.callback = callback

    # Fitting.

    def fit(
        self: _Self,
        X: Any,
        y: Any = None,
        *,
        context: Any = None,
        sample_weight: Any = None,
    ) -> _Self:
        """Fit the flow to samples by maximum likelihood.

        Data are standardised inside the flow, so densities are in the units of the data. Ctrl-C
        raises ``KeyboardInterrupt`` after the step at hand, and leaves the estimator as it was.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Samples.
        y : ignored
        context : array-like of shape (n, k), optional
            A context for each sample: the flow becomes the density of samples given contexts.
        sample_weight : array-like of shape (n,), optional
            Weights of the samples, relative to each other. Rows of weight 0 are left out.

        Returns
        -------
        self

        Raises
        ------
        TypeError
            If a parameter or the data are of the wrong type.
        ValueError
            If a parameter is out of bounds, shapes do not fit, a number is not finite, or the fit
            diverges.
        """
        names = _samples.names(X)
        x = _arrays.matrix(X, "X")
        self._check_size(x)
        _samples.check_finite(x, "X")
        given = None if context is None else _arrays.matrix(context, "context")
        if given is not None:
            _samples.check_context(given, len(x))
        weights = None if sample_weight is None else _samples.weights(sample_weight, len(x))
        seed = _arrays.seed(self.random_state)
        sizes, settings, dtype = self._sizes(x, given), self._settings(seed), self._dtype()
        _samples.warn_of_precision(x, dtype)
        labels = _samples.labels(x, given, names, _samples.names(context))
        notes = _files.notes(x, given, labels, self._recipe, seed)
        history: list[tuple[float, float | None]] = []
        progress = Progress(settings["epochs"]) if self.verbose else None
        report = self._report(history, progress)
        try:
            model, best = Model.fit(x, given, weights, dtype, sizes, settings, notes, report)
        finally:
            if progress is not None:
                progress.close()
        self._keep(model, names)
        self.n_epochs_, self.best_epoch_ = best["epochs"], best["best_epoch"]
        self.history_ = history
        return self

    def _report(
        self, history: list[tuple[float, float | None]], progress: Progress | None
    ) -> Callback:
        callback = self.callback
        best = -np.inf

        def report(epoch: int, train: float, validation: float | None, is_best: bool) -> object:
            nonlocal best
            history.append((train, validation))
            log_prob = -(train if validation is None else validation)
            best = max(best, log_prob)
            if progress is not None:
                progress.show(epoch, log_prob, best)
            return callback is not None and callback(epoch, train, validation, is_best)

        return report

    def _check_size(self, x: Floats) -> None:
        features = x.shape[1]
        name = type(self).__name__
        if features < self._least_features:
            advice = ""
            if features == 1:
                advice = (
                    ": for one column take AutoregressiveSplineFlow or MaskedAutoregressiveFlow"
                )
            raise ValueError(
                f"Found array with {features} feature(s) (shape={x.shape}) while a minimum of"
                f" {self._least_features} is required by {name}{advice}"
            )
        _arrays.rows(x, "X", name, 2)

    def _sizes(self, x: Floats, context: Floats | None) -> dict[str, Any]:
        embedding = self.embedding
        if embedding is not None:
            embedding = _arrays.whole(embedding, "embedding", 1, 2**16)
            if context is None:
                raise ValueError("embedding is a network for contexts: give context to fit")
        return {
            "recipe": self._recipe,
            "features": x.shape[1],
            "context": 0 if context is None else context.shape[1],
            "layers": _arrays.whole(self.layers, "layers", 1, 1024),
            "width": _arrays.whole(self.width, "width", 1, 2**16),
            "blocks": _arrays.whole(self.blocks, "blocks", 1, 1024),
            "embedding": embedding or 0,
            **self._transform(),
        }

    def _transform(self) -> dict[str, Any]:
        return {"bins": 8, "bound": 3.0}

    def _settings(self, seed: int) -> dict[str, Any]:
        counts = {
            name: _arrays.whole(getattr(self, name), name, 1, _LARGEST)
            for name in ("epochs", "batch_size", "patience")
        }
        rates = {
            name: _arrays.real(getattr(self, name), name)
            for name in ("learning_rate", "weight_decay", "validation_fraction")
        }
        if rates["learning_rate"] <= 0.0:
            raise ValueError(f"learning_rate must be above 0, not {self.learning_rate}")
        if rates["weight_decay"] < 0.0:
            raise ValueError(f"weight_decay must be 0 or more, not {self.weight_decay}")
        if not 0.0 <= rates["validation_fraction"] < 1.0:
            share = self.validation_fraction
            raise ValueError(f"validation_fraction must be 0 or more and below 1, not {share}")
        if self.callback is not None and not callable(self.callback):
            raise TypeError(f"callback must be a function, not {self.callback!r}")
        return {**counts, **rates, "seed": seed}

    def _dtype(self) -> str:
        try:
            name = np.dtype(self.dtype).name
        except TypeError:
            name = None
        if name not in ("float32", "float64") or self.dtype is None:
            raise ValueError(f"dtype must be 'float32' or 'float64', not {self.dtype!r}")
        return name

    def _keep(self, model: Model, names: list[str] | None) -> None:
        self.model_ = model
        self.n_features_in_, self.n_context_in_ = model.features, model.context
        if names is None:
            self.__dict__.pop("feature_names_in_", None)
        else:
            self.feature_names_in_ = np.asarray(names, dtype=object)

    # Densities.

    def score_samples(self, X: Any, context: Any = None) -> Floats:
        """ln p of samples.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Samples.
        context : array-like of shape (n, k), (1, k) or (k,), optional
            The context of each sample, or one for all.

        Returns
        -------
        array of shape (n,)
            ln p of each sample in nats, in the units of the data.

        Raises
        ------
        TypeError, ValueError
            As by ``fit``; and if the flow is not fitted.
        """
        x, given = self._inputs(X, "X", context)
        return self.model_.log_prob(x, given)

    def score(self, X: Any, y: Any = None, context: Any = None) -> float:
        """Mean ln p of samples in nats, as ``GaussianMixture.score`` gives it.

        Parameters
        ----------
        X, context
            As for ``score_samples``.
        y : ignored

        Returns
        -------
        float
        """
        log_prob = self.score_samples(X, context)
        if len(log_prob) == 0:
            raise ValueError("Found array with 0 sample(s): X has no rows to score")
        return float(log_prob.mean(dtype=np.float64))

    # Latents.

    def transform(self, X: Any, context: Any = None) -> Floats:
        """Latents of samples, which are nearly independent standard normals.

        Parameters
        ----------
        X, context
            As for ``score_samples``.

        Returns
        -------
        array of shape (n, d)
        """
        x, given = self._inputs(X, "X", context)
        return self.model_.encode(x, given)[0]

    def inverse_transform(self, Z: Any, context: Any = None) -> Floats:
        """Samples of latents.

        Parameters
        ----------
        Z : array-like of shape (n, d)
            Latents.
        context
            As for ``score_samples``.

        Returns
        -------
        array of shape (n, d)
        """
        z, given = self._inputs(Z, "Z", context)
        return self.model_.decode(z, given)

    def fit_transform(self, X: Any, y: Any = None, **fit_params: Any) -> Floats:
        """Fit the flow to samples, and give their latents.

        Parameters
        ----------
        X, y
            As for ``fit``.
        **fit_params
            ``context`` and ``sample_weight``, as for ``fit``.

        Returns
        -------
        array of shape (n, d)
        """
        return self.fit(X, y, **fit_params).transform(X, fit_params.get("context"))

    def get_feature_names_out(self, input_features: Any = None) -> Any:
        """Names of the latents.

        Returns
        -------
        array of shape (d,)
        """
        name = type(self).__name__.lower()
        features = self._fitted().features
        return np.asarray([f"{name}{index}" for index in range(features)], dtype=object)

    # Samples.

    def sample(self, n_samples: int = 1, context: Any = None, random_state: Any = 0) -> Floats:
        """Draw samples.

        Parameters
        ----------
        n_samples : int
            Number of draws, for each context.
        context : array-like of shape (k,) or (m, k), optional
            The context of all draws, or m of them.
        random_state : int, RandomState, Generator or None
            Seed of the draws. Draws for a context do not depend on the contexts after it.

        Returns
        -------
        array of shape (n_samples, d), or (m, n_samples, d) for m contexts
        """
        count, seed, given = self._draws(n_samples, context, random_state)
        if given is not None and np.ndim(context) == 2:
            return self.model_.sample_each(count, seed, given)
        return self.model_.sample(count, seed, given)

    def sample_with_log_prob(
        self, n_samples: int = 1, context: Any = None, random_state: Any = 0
    ) -> tuple[Floats, Floats]:
        """Draw samples with ln p of each, cheaper than both apart.

        Parameters
        ----------
        n_samples, context, random_state
            As for ``sample``.

        Returns
        -------
        samples : array of shape (n_samples, d), or (m, n_samples, d) for m contexts
        log_prob : array of shape (n_samples,), or (m, n_samples)
            In nats.
        """
        count, seed, given = self._draws(n_samples, context, random_state)
        if given is not None and np.ndim(context) == 2:
            samples, log_prob = self.model_.sample_each_with_log_prob(count, seed, given)
        else:
            samples, log_prob = self.model_.sample_with_log_prob(count, seed, given)
        return samples, log_prob

    def _draws(
        self, n_samples: int, context: Any, random_state: Any
    ) -> tuple[int, int, Floats | None]:
        model = self._fitted()
        count = _arrays.whole(n_samples, "n_samples", 1, 2**40)
        given = self._context(context, model)
        rows = 1 if given is None else len(given)
        # A clear error instead of an end for want of memory.
        np.empty((rows, count, model.features), np.float64)
        return count, _arrays.seed(random_state), given

    # Files.

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted flow to a safetensors file, which the command ``flow`` reads too.

        Parameters
        ----------
        path : str or path
            A file; it is always the whole old one or the whole new one.

        Raises
        ------
        OSError
            If it cannot be written.
        """
        self._fitted().save(path)

    @classmethod
    def load(cls: type[_Self], path: str | os.PathLike[str]) -> _Self:
        """Read a flow that ``save`` or the command ``flow fit`` wrote.

        Sizes of the estimator are those of the flow. Settings of its fit are the default ones.

        Raises
        ------
        OSError
            If the file cannot be read.
        ValueError
            If it holds no flow of this class; the function ``flow.load`` finds the class.
        """
        model = Model.load(path)
        recipe, sizes, names = _files.described(model)
        if recipe != cls._recipe:
            kind = f"a {Flow._classes[recipe].__name__}" if recipe else "a flow of other layers"
            raise ValueError(f"`{os.fspath(path)}` holds {kind}, not a {cls.__name__}")
        return cls._of(model, sizes, names)

    @classmethod
    def _of(cls: type[_Self], model: Model, sizes: dict[str, Any], names: Any) -> _Self:
        flow = cls(**sizes)
        generic = [f"x{index}" for index in range(model.features)]
        flow._keep(model, None if names == generic else names)
        return flow

    # What calls share.

    def _fitted(self) -> Model:
        try:
            return self.model_
        except AttributeError:
            refuse_unfitted(self)

    def _inputs(self, value: Any, name: str, context: Any) -> tuple[Floats, Floats | None]:
        model = self._fitted()
        if type(value) is not np.ndarray:
            self._check_names(value)
        x = _arrays.matrix(value, name)
        if x.shape[1] != model.features:
            raise ValueError(
                f"{name} has {x.shape[1]} features, but {type(self).__name__} is expecting"
                f" {model.features} features as input"
            )
        if len(x) == 0:
            _arrays.rows(x, name, type(self).__name__, 1)
        return x, self._context(context, model)

    def _context(self, context: Any, model: Model) -> Floats | None:
        if context is None:
            return None
        if np.ndim(context) == 1:
            context = np.asarray(context)[np.newaxis]
        given = _arrays.matrix(context, "context")
        if model.context and given.shape[1] != model.context:
            raise ValueError(
                f"context has {given.shape[1]} columns, but the flow was fitted with"
                f" {model.context}"
            )
        return given

    def _check_names(self, value: Any) -> None:
        names = _samples.names(value)
        known = getattr(self, "feature_names_in_", None)
        if names is None or known is None or list(known) == names:
            return
        raise ValueError(
            "The feature names should match those that were passed during fit:"
            f" {list(known)}, not {names}"
        )

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "model_")

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import InputTags, Tags, TargetTags, TransformerTags

        return Tags(
            estimator_type="density_estimator",
            target_tags=TargetTags(required=False),
            transformer_tags=TransformerTags(preserves_dtype=[]),
            input_tags=InputTags(),
        )
