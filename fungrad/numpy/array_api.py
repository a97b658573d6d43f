"""What the Array API standard asks for beside functions: that arrays name their namespace, which describes itself.

    x.__array_namespace__()                      -> fungrad.numpy, for a traced x
    fungrad.numpy.__array_namespace_info__()     -> NamespaceInfo

A function that is written against the standard asks its arguments for their namespace and calls nothing else:

    def logsumexp(x):
        xp = x.__array_namespace__()
        top = xp.max(x)
        return xp.log(xp.sum(xp.exp(x - top))) + top

References
----------
The Python array API standard, version 2024.12, https://data-apis.org/array-api/2024.12/
"""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from fungrad._util import here
from fungrad.core.trace import Tracer

__all__ = ["NamespaceInfo", "__array_api_version__", "__array_namespace_info__", "array_namespace"]

__array_api_version__ = "2024.12"
"""The version of the standard that `fungrad.numpy` follows."""

_VERSIONS = ("2021.12", "2022.12", "2023.12", "2024.12")

_DTYPES: dict[str, tuple[str, ...]] = {
    "bool": ("bool",),
    "signed integer": ("int8", "int16", "int32", "int64"),
    "unsigned integer": ("uint8", "uint16", "uint32", "uint64"),
    "real floating": ("float32", "float64"),
    "complex floating": ("complex64", "complex128"),
}
"""Kind of data type, and the standard's names of its members."""

_UNIONS: dict[str, tuple[str, ...]] = {
    **{kind: (kind,) for kind in _DTYPES},
    "integral": ("signed integer", "unsigned integer"),
    "numeric": ("signed integer", "unsigned integer", "real floating", "complex floating"),
}


def array_namespace(x: Any, /, *, api_version: str | None = None) -> Any:
    """Return the namespace whose functions take this array: `fungrad.numpy`.

    Attached to traced arrays as their method ``__array_namespace__``.

    Parameters
    ----------
    x : array
        A traced array, or one that `fungrad.numpy` made. Its shape and dtype do not matter.
    api_version : str, optional
        The version of the standard that the caller was written for, ``"2021.12"`` to ``"2024.12"``.

    Returns
    -------
    module
        `fungrad.numpy`.

    Raises
    ------
    ValueError
        Says which versions there are, if `api_version` is none of them.

    Examples
    --------
    >>> import fungrad as fg
    >>> import numpy as np
    >>> from fungrad.numpy.array_api import array_namespace
    >>> def length(x):
    ...     xp = array_namespace(x, api_version="2024.12")
    ...     return xp.sqrt(xp.sum(x * x))
    >>> fg.grad(length)(np.array([3.0, 4.0]))
    array([0.6, 0.8])
    """
    if api_version is not None and not isinstance(api_version, str):
        raise ValueError(
            f"x.__array_namespace__(api_version={api_version!r}) at {here()}: the version of the Array API standard is "
            f"a string or None; write api_version={__array_api_version__!r}"
        )
    if api_version not in (None, *_VERSIONS):
        raise ValueError(
            f"x.__array_namespace__(api_version={api_version!r}) at {here()}: fungrad.numpy supports the versions "
            f"{', '.join(_VERSIONS)} of the Array API standard; write api_version={__array_api_version__!r}, or leave "
            "it out"
        )
    # By name: the package imports this module.
    return importlib.import_module("fungrad.numpy")


def __array_namespace_info__() -> NamespaceInfo:
    """Return what describes `fungrad.numpy` to code that is written against the Array API standard.

    Returns
    -------
    NamespaceInfo
        An object with the methods ``capabilities``, ``default_device``, ``default_dtypes``, ``devices``, ``dtypes``.

    Examples
    --------
    >>> from fungrad.numpy.array_api import __array_namespace_info__
    >>> info = __array_namespace_info__()
    >>> info.default_dtypes()["real floating"]
    dtype('float64')
    >>> info.dtypes(kind="complex floating")
    {'complex64': dtype('complex64'), 'complex128': dtype('complex128')}
    """
    return NamespaceInfo()


class NamespaceInfo:
    """The inspection functions of the Array API standard for `fungrad.numpy`.

    Notes
    -----
    There is one device, ``"cpu"``. Boolean masks as indices and shapes that depend on data are supported where values
    are known: on plain arrays, and under grad, jvp and the other transforms that record with values. Under vmap and
    make_jaxpr they raise an error that says what to write instead.
    """

    __module__ = "fungrad.numpy"

    def capabilities(self) -> dict[str, Any]:
        """Return what the namespace can do.

        Returns
        -------
        dict
            ``"boolean indexing"`` and ``"data-dependent shapes"``, both True, and ``"max dimensions"``, 64.
        """
        return {"boolean indexing": True, "data-dependent shapes": True, "max dimensions": 64}

    def default_device(self) -> str:
        """Return the device that arrays are made on: ``"cpu"``."""
        return "cpu"

    def default_dtypes(self, *, device: str | None = None) -> dict[str, np.dtype[Any]]:
        """Return the dtypes of arrays that are made without a dtype.

        Parameters
        ----------
        device : str, optional
            ``"cpu"`` or None.

        Returns
        -------
        dict
            The dtype of ``"real floating"``, ``"complex floating"``, ``"integral"`` and ``"indexing"``.

        Raises
        ------
        ValueError
            For another device.
        """
        _check_device(device)
        return {
            "real floating": np.dtype(np.float64),
            "complex floating": np.dtype(np.complex128),
            "integral": np.dtype(np.int_),
            "indexing": np.dtype(np.intp),
        }

    def dtypes(
        self, *, device: str | None = None, kind: str | tuple[str, ...] | None = None
    ) -> dict[str, np.dtype[Any]]:
        """Return the dtypes of the standard.

        Parameters
        ----------
        device : str, optional
            ``"cpu"`` or None.
        kind : str or tuple of str, optional
            Only dtypes of this kind, or of one of these kinds: ``"bool"``, ``"signed integer"``,
            ``"unsigned integer"``, ``"integral"``, ``"real floating"``, ``"complex floating"``, ``"numeric"``.

        Returns
        -------
        dict
            The standard's name of each dtype, and the dtype.

        Raises
        ------
        ValueError
            For another device, or a kind that the standard does not know; the message lists those that it knows.
        """
        _check_device(device)
        if kind is None:
            kind = tuple(_DTYPES)
        chosen: set[str] = set()
        for one in kind if isinstance(kind, tuple) else (kind,):
            if one not in _UNIONS:
                raise ValueError(
                    f"dtypes(kind={one!r}) at {here()}: no such kind of data type; use one of "
                    f"{', '.join(map(repr, _UNIONS))}, or a tuple of them"
                )
            chosen.update(_UNIONS[one])
        return {name: np.dtype(name) for group in _DTYPES if group in chosen for name in _DTYPES[group]}

    def devices(self) -> list[str]:
        """Return the devices that there are: ``["cpu"]``."""
        return ["cpu"]


def _check_device(device: Any) -> None:
    if device not in (None, "cpu"):
        raise ValueError(f"device={device!r} at {here()}: there is no such device; use 'cpu', or leave it out")


Tracer.__array_namespace__ = array_namespace  # type: ignore[attr-defined]
