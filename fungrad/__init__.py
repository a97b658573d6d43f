"""fungrad: exact derivatives, batching and inspection of ordinary NumPy code.

Transforms of functions (`grad`, `jvp`, `vjp`, `jacobian`, `hessian`, `vmap`, ...) nest in any order. Functions are
written with ``import numpy as np``; arguments and results may be pytrees (nested tuples, lists, dicts, dataclasses) of
arrays.
"""

import importlib
import typing

from fungrad import custom_batching, custom_derivatives, errors, numpy, testing, tree, tree_util
from fungrad.control import policies as checkpoint_policies
from fungrad.control.checkpoint import checkpoint, checkpoint_name, remat
from fungrad.control.custom_gradient import closure_convert, custom_gradient, linear_call
from fungrad.control.custom_jvp import custom_jvp
from fungrad.control.custom_vjp import custom_vjp
from fungrad.control.custom_vmap import custom_vmap, sequential_vmap
from fungrad.control.residuals import print_saved_residuals, saved_residuals
from fungrad.control.symbolic_zero import CustomVJPPrimal, SymbolicZero
from fungrad.core.aval import FLOAT0 as float0
from fungrad.core.aval import ShapedArray, typeof
from fungrad.core.aval import ShapedArray as ShapeDtypeStruct
from fungrad.core.check import check as check_jaxpr
from fungrad.core.elementwise import Elementwise, NoTangent
from fungrad.core.ir import ClosedJaxpr, Equation, Jaxpr, Literal, Var
from fungrad.core.primitive import General, Linear, Multilinear, Primitive
from fungrad.core.show import show as show_jaxpr
from fungrad.core.trace import Tracer
from fungrad.primitives.collectives import axis_index, axis_size, pmax, pmean, pmin, psum
from fungrad.transforms.gradient import elementwise_grad, grad, value_and_grad
from fungrad.transforms.inspection import eval_jaxpr, eval_shape, make_jaxpr
from fungrad.transforms.jacobians import hessian, jacfwd, jacobian, jacrev
from fungrad.transforms.jit import clear_caches, disable_jit, jit
from fungrad.transforms.products import hvp, jvp, linear_transpose, linearize, vjp
from fungrad.transforms.stop import stop_gradient
from fungrad.transforms.vectorize import vmap
from fungrad.tree import Partial

if typing.TYPE_CHECKING:
    from fungrad import lax

__version__ = "0.1.0"

__all__ = [
    "ClosedJaxpr",
    "CustomVJPPrimal",
    "Elementwise",
    "Equation",
    "General",
    "Jaxpr",
    "Linear",
    "Literal",
    "Multilinear",
    "NoTangent",
    "Partial",
    "Primitive",
    "ShapeDtypeStruct",
    "ShapedArray",
    "SymbolicZero",
    "Tracer",
    "Var",
    "axis_index",
    "axis_size",
    "check_jaxpr",
    "checkpoint",
    "checkpoint_name",
    "checkpoint_policies",
    "clear_caches",
    "closure_convert",
    "custom_batching",
    "custom_derivatives",
    "custom_gradient",
    "custom_jvp",
    "custom_vjp",
    "custom_vmap",
    "disable_jit",
    "elementwise_grad",
    "errors",
    "eval_jaxpr",
    "eval_shape",
    "float0",
    "grad",
    "hessian",
    "hvp",
    "jacfwd",
    "jacobian",
    "jacrev",
    "jit",
    "jvp",
    "lax",
    "linear_call",
    "linear_transpose",
    "linearize",
    "make_jaxpr",
    "numpy",
    "pmax",
    "pmean",
    "pmin",
    "print_saved_residuals",
    "psum",
    "remat",
    "saved_residuals",
    "sequential_vmap",
    "show_jaxpr",
    "stop_gradient",
    "testing",
    "tree",
    "tree_util",
    "typeof",
    "value_and_grad",
    "vjp",
    "vmap",
]


def __getattr__(name: str) -> typing.Any:
    """Import ``lax`` when it is first used."""
    if name == "lax":
        return importlib.import_module("fungrad.lax")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
