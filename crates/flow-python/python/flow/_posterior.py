"""Posteriors as sbi has them, and their calibration."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from flow import _arrays
from flow._flow import Flow
from flow._types import Floats


class Posterior:
    """The density of parameters θ given an observation x, with the methods of sbi's posteriors.

    Parameters
    ----------
    flow : Flow
        A flow fitted to parameters with their simulations as the context:
        ``flow.fit(theta, context=x)``.
    x : array-like of shape (k,), optional
        The observation that calls take where they name no other.

    Examples
    --------
    >>> import numpy as np
    >>> import flow
    >>> generator = np.random.default_rng(0)
    >>> theta = generator.normal(size=(1000, 2))
    >>> x = theta + 0.5 * generator.normal(size=(1000, 2))
    >>> fitted = flow.NeuralSplineFlow(layers=2, width=16, epochs=5).fit(theta, context=x)
    >>> posterior = flow.Posterior(fitted, x=[1.0, -1.0])
    >>> posterior.sample((500,)).shape
    (500, 2)
    >>> posterior.log_prob(theta[:3]).shape
    (3,)
    """

    def __init__(self, flow: Flow, x: Any = None) -> None:
        if not isinstance(flow, Flow):
            raise TypeError(f"flow must be an estimator of this package, not {flow!r}")
        if flow._fitted().context == 0:
            raise ValueError("the flow was fitted without a context, so it is no posterior")
        self.flow = flow
        self.default_x = None if x is None else self._observation(x)

    def set_default_x(self, x: Any) -> Posterior:
        """Take `x` where calls name no observation.

        Returns
        -------
        self
        """
        self.default_x = self._observation(x)
        return self

    def sample(
        self, sample_shape: tuple[int, ...] = (), x: Any = None, random_state: Any = None
    ) -> Floats:
        """Draw parameters given an observation.

        Parameters
        ----------
        sample_shape : tuple of int
            Shape of the draws; one draw by default.
        x : array-like of shape (k,) or (1, k), optional
            The observation.
        random_state : int, RandomState, Generator or None
            Seed of the draws.

        Returns
        -------
        array of shape (\\*sample_shape, d)
        """
        try:
            shape = tuple(_arrays.whole(size, "sample_shape", 0, 2**40) for size in sample_shape)
        except TypeError:
            raise TypeError(
                f"sample_shape must be a tuple of whole numbers, not {sample_shape!r}"
            ) from None
        observation = self._given(x)
        drawn = self.flow.sample(max(math.prod(shape), 1), observation, random_state)
        return np.reshape(drawn[: math.prod(shape)], (*shape, drawn.shape[-1]))

    def log_prob(self, theta: Any, x: Any = None) -> Floats:
        """ln p(θ | x).

        Parameters
        ----------
        theta : array-like of shape (n, d)
            Parameters.
        x : array-like of shape (k,) or (1, k), optional
            The observation.

        Returns
        -------
        array of shape (n,)
            In nats.
        """
        return self.flow.score_samples(theta, self._given(x))

    def _given(self, x: Any) -> Floats:
        if x is not None:
            return self._observation(x)
        if self.default_x is None:
            raise ValueError("there is no observation: give x, or set_default_x before")
        return self.default_x

    def _observation(self, x: Any) -> Floats:
        if np.ndim(x) == 1:
            x = np.asarray(x)[np.newaxis]
        observation = _arrays.matrix(x, "x")
        size = self.flow._fitted().context
        if observation.shape != (1, size):
            raise ValueError(
                f"x must be one observation of {size} numbers, not of shape {observation.shape}"
            )
        return observation.reshape(-1)

    def __repr__(self) -> str:
        return f"Posterior({self.flow!r})"


class Ranks(NamedTuple):
    """Ranks of truths among draws of their posteriors."""

    ranks: npt.NDArray[np.int64]
    """The number of draws below each number of a truth, (n, d); uniform if calibrated."""
    levels: npt.NDArray[np.float64]
    """The share of draws that are denser than each truth, (n,); uniform if calibrated."""
    p_values: npt.NDArray[np.float64]
    """Of a χ² test of the uniformity of the ranks of each number, (d,)."""

    def coverage(self, credibility: float) -> float:
        """Share of truths in regions of highest density that should hold `credibility` of them.

        Below it, the flow is too sure.
        """
        return float((self.levels < credibility).mean())


def sbc_ranks(
    flow: Flow, theta: Any, context: Any, draws: int = 100, random_state: Any = 0
) -> Ranks:
    """Simulation-based calibration of a conditional flow.

    If the flow gives the right posteriors, the rank of each number of a truth among draws given its
    simulation is uniform on 0, …, `draws` (Talts et al. 2018, arXiv:1804.06788). So is the share of
    draws that are denser (Hermans et al. 2022, arXiv:2110.06581, section 2.2).

    Parameters
    ----------
    flow : Flow
        A flow fitted with a context.
    theta : array-like of shape (n, d)
        Parameters that took no part in the fit.
    context : array-like of shape (n, k)
        Their simulations.
    draws : int
        Draws for each simulation.
    random_state : int, RandomState, Generator or None
        Seed of the draws.

    Returns
    -------
    Ranks
    """
    if not isinstance(flow, Flow):
        raise TypeError(f"flow must be an estimator of this package, not {flow!r}")
    truths, given = flow._inputs(theta, "theta", context)
    if given is None:
        raise ValueError("calibration needs the context of each truth: give context")
    if len(given) != len(truths):
        raise ValueError(
            f"context must have a row for each of {len(truths)} truths, not {len(given)}"
        )
    draws = _arrays.whole(draws, "draws", 2, 2**24)
    seed = _arrays.seed(random_state)
    ranks, levels, p_values = flow.model_.calibration(truths, given, draws, seed)
    return Ranks(np.array(ranks, np.int64).T, np.array(levels), np.array(p_values))
