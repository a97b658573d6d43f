"""Tools to test derivatives: comparisons with finite differences, and random programs.

Nothing here is needed at run time, and nothing here needs more than NumPy.
"""

from fungrad.testing.check_grads import check_grads as check_grads
from fungrad.testing.check_grads import check_jvp as check_jvp
from fungrad.testing.check_grads import check_vjp as check_vjp
from fungrad.testing.check_grads import numerical_jvp as numerical_jvp
from fungrad.testing.programs import Program as Program
from fungrad.testing.programs import random_program as random_program

__all__ = ["Program", "check_grads", "check_jvp", "check_vjp", "numerical_jvp", "random_program"]
