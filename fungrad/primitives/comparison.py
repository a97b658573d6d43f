"""Comparisons, logic, bits and tests: what has no derivative.

Recorded with values these are computed one level down and handed on as they are, which is why ``if x > 0`` works.
As in arithmetic, Python's operators are NumPy's ufuncs on arrays and faster than those on scalars.
"""

from __future__ import annotations

import operator

import numpy as np

from fungrad.core.elementwise import NoTangent

less_p = NoTangent("less", operator.lt, elementwise=True, ufunc=np.less, scalar="{0} < {1}")
less = less_p.function

less_equal_p = NoTangent("less_equal", operator.le, elementwise=True, ufunc=np.less_equal, scalar="{0} <= {1}")
less_equal = less_equal_p.function

greater_p = NoTangent("greater", operator.gt, elementwise=True, ufunc=np.greater, scalar="{0} > {1}")
greater = greater_p.function

greater_equal_p = NoTangent("greater_equal", operator.ge, elementwise=True, ufunc=np.greater_equal, scalar="{0} >= {1}")
greater_equal = greater_equal_p.function

equal_p = NoTangent("equal", operator.eq, elementwise=True, ufunc=np.equal, scalar="{0} == {1}")
equal = equal_p.function

not_equal_p = NoTangent("not_equal", operator.ne, elementwise=True, ufunc=np.not_equal, scalar="{0} != {1}")
not_equal = not_equal_p.function

# |x - y| <= atol + rtol |y|, with the operands in the order x, y, rtol, atol

isclose_p = NoTangent("isclose", np.isclose, elementwise=True)
isclose = isclose_p.function

# logic: any number counts as true unless it is zero

logical_and_p = NoTangent("logical_and", np.logical_and, elementwise=True)
logical_and = logical_and_p.function

logical_or_p = NoTangent("logical_or", np.logical_or, elementwise=True)
logical_or = logical_or_p.function

logical_xor_p = NoTangent("logical_xor", np.logical_xor, elementwise=True)
logical_xor = logical_xor_p.function

logical_not_p = NoTangent("logical_not", np.logical_not, elementwise=True)
logical_not = logical_not_p.function

# bits: of integers and booleans only, NumPy's TypeError for others; Python's ~True is -2, so invert is NumPy's

bitwise_and_p = NoTangent("bitwise_and", operator.and_, elementwise=True, ufunc=np.bitwise_and)
bitwise_and = bitwise_and_p.function

bitwise_or_p = NoTangent("bitwise_or", operator.or_, elementwise=True, ufunc=np.bitwise_or)
bitwise_or = bitwise_or_p.function

bitwise_xor_p = NoTangent("bitwise_xor", operator.xor, elementwise=True, ufunc=np.bitwise_xor)
bitwise_xor = bitwise_xor_p.function

invert_p = NoTangent("invert", np.invert, elementwise=True)
invert = invert_p.function

left_shift_p = NoTangent("left_shift", np.left_shift, elementwise=True)
left_shift = left_shift_p.function

right_shift_p = NoTangent("right_shift", np.right_shift, elementwise=True)
right_shift = right_shift_p.function

bitwise_count_p = NoTangent("bitwise_count", np.bitwise_count, elementwise=True)
bitwise_count = bitwise_count_p.function

gcd_p = NoTangent("gcd", np.gcd, elementwise=True)
gcd = gcd_p.function

lcm_p = NoTangent("lcm", np.lcm, elementwise=True)
lcm = lcm_p.function

# tests of floating-point numbers

isfinite_p = NoTangent("isfinite", np.isfinite, elementwise=True)
isfinite = isfinite_p.function

isinf_p = NoTangent("isinf", np.isinf, elementwise=True)
isinf = isinf_p.function

isnan_p = NoTangent("isnan", np.isnan, elementwise=True, scalar="{0} != {0}")
isnan = isnan_p.function

signbit_p = NoTangent("signbit", np.signbit, elementwise=True)
signbit = signbit_p.function
