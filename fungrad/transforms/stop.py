"""stop_gradient: cut the derivative on purpose."""

from __future__ import annotations

from typing import Any

from fungrad import tree
from fungrad.core.memory import copied
from fungrad.core.trace import Tracer
from fungrad.primitives.stop_gradient import stop_gradient_p


def stop_gradient(x: Any) -> Any:
    """Return ``x`` (a pytree of arrays) as it is, but as a constant to every derivative.

    Examples
    --------
    >>> import fungrad as fg
    >>> fg.grad(lambda x: x * fg.stop_gradient(x))(3.0)
    np.float64(3.0)
    """
    return tree.map(_stop, x)


def _stop(x: Any) -> Any:
    stopped = stop_gradient_p.function(x)
    return copied(stopped) if type(x) is Tracer else stopped  # the caller may write into it
