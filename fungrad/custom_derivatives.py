"""The derivative rules under the names that they have in `jax.custom_derivatives`.

>>> from fungrad import custom_derivatives
>>> f = custom_derivatives.custom_gradient(lambda x: (x**2, lambda g: 2.0 * g * x))
>>> f(3.0)
9.0
"""

from fungrad.control.custom_gradient import closure_convert, custom_gradient, linear_call
from fungrad.control.custom_jvp import custom_jvp
from fungrad.control.custom_vjp import custom_vjp
from fungrad.control.symbolic_zero import CustomVJPPrimal, SymbolicZero

__all__ = [
    "CustomVJPPrimal",
    "SymbolicZero",
    "closure_convert",
    "custom_gradient",
    "custom_jvp",
    "custom_vjp",
    "linear_call",
]
