import numpy as np
from fungrad.core.elementwise import Elementwise
from fungrad.primitives.arithmetic import mul, neg
sin_p = Elementwise("sin", np.sin, lambda t, x: mul(t, cos(x)))
sin = sin_p.function
cos_p = Elementwise("cos", np.cos, lambda t, x: neg(mul(t, sin(x))))
cos = cos_p.function
