"""stop_gradient: the identity as a primitive without a tangent.

Recorded with values it hands on the value under all levels of recording; in an abstract recording it is an equation.
"""

from __future__ import annotations

from fungrad.core.elementwise import NoTangent

stop_gradient_p = NoTangent("stop_gradient", lambda x: x, elementwise=True)
