"""Parameters of estimators as scikit-learn has them, which need not be installed."""

from __future__ import annotations

import inspect
import sys
from typing import Any, NoReturn, TypeVar

_Self = TypeVar("_Self", bound="Parameters")


class Parameters:
    """An object whose parameters are the arguments of its constructor."""

    @classmethod
    def _defaults(cls) -> dict[str, Any]:
        arguments = list(inspect.signature(cls.__init__).parameters.values())[1:]
        return {argument.name: argument.default for argument in arguments}

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Parameters by name.

        Parameters
        ----------
        deep : bool
            Of no effect: no parameter has parameters of its own.

        Returns
        -------
        dict
        """
        return {name: getattr(self, name) for name in sorted(self._defaults())}

    def set_params(self: _Self, **params: Any) -> _Self:
        """Set parameters by name.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If there is no parameter of a name.
        """
        known = self._defaults()
        for name in params:
            if name not in known:
                raise ValueError(
                    f"Invalid parameter {name!r} for estimator {type(self).__name__}:"
                    f" valid parameters are {sorted(known)}"
                )
        for name, value in params.items():
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        defaults = self._defaults()
        changed = (
            f"{name}={value!r}"
            for name, value in ((name, getattr(self, name)) for name in defaults)
            if repr(value) != repr(defaults[name])
        )
        return f"{type(self).__name__}({', '.join(changed)})"


def refuse_unfitted(estimator: object) -> NoReturn:
    """Raise scikit-learn's ``NotFittedError`` if it is loaded, or an error of the same bases."""
    message = f"This {type(estimator).__name__} is not fitted yet: call fit or load first"
    if "sklearn" in sys.modules:
        from sklearn.exceptions import NotFittedError

        raise NotFittedError(message)
    raise _NotFittedError(message)


class _NotFittedError(ValueError, AttributeError):
    pass
