"""Probes of NumPy's reductions, statistics, sorting, sets, products, polynomials and signals."""

from __future__ import annotations

import numpy as np

from .probe import Probe, p

_M = (3, 4)
_NAN = np.array([0.0, np.nan, 0.0, 0.0])
_WEIGHTS = np.array([1.0, 2.0, 3.0, 4.0])

_WITH_AXIS = "sum prod max min amax amin mean std var ptp median cumsum cumprod"
_MORE_WITH_AXIS = "all any argmax argmin count_nonzero argsort cumulative_sum cumulative_prod sort"
_WITHOUT_NAN = """
nansum nanprod nanmax nanmin nanmean nanstd nanvar nanmedian nancumsum nancumprod nanargmax nanargmin
"""
PROBES: dict[str, Probe | tuple[Probe, ...]] = {
    **{
        n: p(lambda x, n=n: getattr(np, n)(x, axis=1), _M)
        for n in _WITH_AXIS.split()
    },
    **{
        n: p(lambda x, n=n: getattr(np, n)(x, axis=1), _M)
        for n in _MORE_WITH_AXIS.split()
    },
    **{
        n: p(lambda x, n=n: getattr(np, n)(x + _NAN, axis=1), _M)
        for n in _WITHOUT_NAN.split()
    },
    "sum": (
        p(lambda x: np.sum(x, axis=1), _M),
        p(lambda x: np.sum(x, where=_WEIGHTS > 1.5, initial=2.0), _M, what="where="),
        p(lambda x: np.sum(x, out=np.zeros(())), _M, what="out=", instead="np.sum(x)"),
    ),
    **{
        n: (
            p(lambda x, n=n, q=q: getattr(np, n)(x, q, axis=1), _M),
            p(lambda q, n=n: getattr(np, n)(_WEIGHTS, q), (2,), domain=(0.41, 0.59), what="q"),
            p(
                lambda w, n=n, q=q: getattr(np, n)(_WEIGHTS, q, weights=w, method="inverted_cdf"),
                (4,),
                flat=True,
                what="weights",
            ),
        )
        for n, q in {"percentile": 30.0, "quantile": 0.3, "nanpercentile": 30.0, "nanquantile": 0.3}.items()
    },
    "average": (
        p(lambda x: np.average(x, axis=1), _M),
        p(lambda w: np.average(_WEIGHTS**2, weights=w), (4,), what="weights"),
    ),
    "cov": p(lambda x: np.cov(x), (2, 5)),
    "corrcoef": p(lambda x: np.corrcoef(x), (2, 5)),
    "histogram": (
        p(lambda x: np.histogram(x, bins=[0.0, 0.5, 1.0]), (5,), flat=True),
        p(lambda w: np.histogram(_WEIGHTS, bins=[0.0, 2.5, 5.0], weights=w)[0], (4,), what="weights"),
        p(lambda e: np.histogram(_WEIGHTS, bins=np.stack([0.5, e, 4.5]), density=True)[0], (), domain=(2.2, 2.8),
          what="bins, density"),
        p(lambda x: np.histogram(x, bins=2), (5,), what="edges from a"),
    ),
    "histogram2d": (
        p(lambda x, y: np.histogram2d(x, y, bins=[[0.0, 0.5, 1.0], [0.0, 0.5, 1.0]]), (5,), (5,), flat=True),
        p(lambda w: np.histogram2d(_WEIGHTS, _WEIGHTS, bins=[[0, 2, 5], [0, 2, 5]], weights=w)[0], (4,),
          what="weights"),
    ),
    "histogramdd": (
        p(lambda x: np.histogramdd(x, bins=[[0.0, 0.5, 1.0], [0.0, 0.5, 1.0]]), (5, 2), flat=True),
        p(lambda w: np.histogramdd(np.ones((4, 1)), bins=[[0, 2, 5]], weights=w)[0], (4,), what="weights"),
    ),
    "histogram_bin_edges": p(lambda x: np.histogram_bin_edges(x, bins=3), (5,)),
    "bincount": (
        p(lambda w: np.bincount([0, 1, 1], weights=w), what="weights"),
        p(lambda i: np.bincount(i, minlength=9), integers=(0,), domain=(0, 9), what="x"),
    ),
    "digitize": p(lambda x: np.digitize(x, [0.3, 0.6])),
    "searchsorted": p(lambda x: np.searchsorted([0.3, 0.6], x)),
    # Sorting and sets
    "argpartition": p(lambda x: np.argpartition(x, 1)[1], (4,)),
    "partition": p(lambda x: np.partition(x, 1)[:2], (5,)),
    "sort_complex": p(lambda x: np.sort_complex(x)),
    "lexsort": p(lambda x, y: np.lexsort((x, y)), (3,), (3,)),
    "nonzero": p(lambda x: np.nonzero(x)),
    "flatnonzero": p(lambda x: np.flatnonzero(x)),
    "argwhere": p(lambda x: np.argwhere(x)),
    "unique": p(lambda x: np.unique(x)),
    "unique_all": p(lambda x: np.unique_all(x)),
    "unique_counts": p(lambda x: np.unique_counts(x)),
    "unique_inverse": p(lambda x: np.unique_inverse(x)),
    "unique_values": p(lambda x: np.sort(np.unique_values(x))),
    "union1d": p(lambda x, y: np.union1d(x, y), (3,), (2,)),
    "intersect1d": p(lambda x: np.intersect1d(x, x[:2])),
    "setdiff1d": p(lambda x: np.setdiff1d(x, x[:1])),
    "setxor1d": p(lambda x, y: np.setxor1d(x, y), (3,), (2,)),
    "isin": p(lambda x: np.isin(x, [0.5])),
    "in1d": p(lambda x: np.in1d(x, [0.5])),
    # Products
    "dot": p(lambda x, y: np.dot(x, y), _M, (4, 2)),
    "vdot": p(lambda x, y: np.vdot(x, y), (3,), (3,), dtype="D"),
    "inner": p(lambda x, y: np.inner(x, y), _M, (2, 4)),
    "outer": p(lambda x, y: np.outer(x, y), (3,), (2,)),
    "matmul": p(lambda x, y: np.matmul(x, y), (2, 3, 4), (4, 2)),
    "matvec": p(lambda x, y: np.matvec(x, y), _M, (4,)),
    "vecmat": p(lambda x, y: np.vecmat(x, y), (3,), _M),
    "vecdot": p(lambda x, y: np.vecdot(x, y), _M, (4,)),
    "tensordot": p(lambda x, y: np.tensordot(x, y, 1), _M, (4, 2)),
    "einsum": p(lambda x, y: np.einsum("ij,jk->ki", x, y), _M, (4, 2)),
    "einsum_path": p(lambda x, y: np.einsum_path("ij,jk->ki", x, y), _M, (4, 2)),
    "kron": p(lambda x, y: np.kron(x, y), (2, 2), (3,)),
    "cross": p(lambda x, y: np.cross(x, y), (3,), (3,)),
    # Differences, integrals, interpolation
    "diff": p(lambda x: np.diff(x, axis=1), _M),
    "ediff1d": p(lambda x: np.ediff1d(x, to_end=2.0), (4,)),
    "gradient": (
        p(lambda x: np.gradient(x), (5,)),
        p(lambda h: np.gradient(_WEIGHTS**2, h), (), what="varargs"),
    ),
    "trapezoid": p(lambda y, x: np.trapezoid(y, x), (4,), (4,)),
    "trapz": p(lambda y, x: np.trapz(y, x), (4,), (4,)),
    "interp": (
        p(lambda x: np.interp(x, [0.0, 0.45, 1.0], [1.0, 3.0, 2.0])),
        p(lambda xp, fp: np.interp([0.1, 0.5], np.concatenate([[0.0], xp, [1.0]]), fp), (1,), (3,), what="xp, fp"),
    ),
    "unwrap": p(lambda x: np.unwrap(x * np.array([1.0, 9.0, 2.0]))),
    "convolve": p(lambda x, y: np.convolve(x, y), (4,), (3,)),
    "correlate": p(lambda x, y: np.correlate(x, y), (4,), (3,)),
    # Polynomials
    "poly": p(lambda x: np.poly(x)),
    "polyadd": p(lambda x, y: np.polyadd(x, y), (3,), (2,)),
    "polysub": p(lambda x, y: np.polysub(x, y), (3,), (2,)),
    "polymul": p(lambda x, y: np.polymul(x, y), (3,), (2,)),
    "polydiv": p(lambda x, y: np.polydiv(x, y), (4,), (2,)),
    "polyder": p(lambda x: np.polyder(x)),
    "polyint": p(lambda x: np.polyint(x)),
    "polyval": p(lambda c, x: np.polyval(c, x), (3,), (2,)),
    "polyfit": (
        p(lambda y: np.polyfit(_WEIGHTS, y, 2), (4,)),
        p(lambda x: np.polyfit(x, _WEIGHTS, 1), (4,), what="x"),
        p(lambda w: np.polyfit(_WEIGHTS, _WEIGHTS**2, 1, w=w), (4,), what="w"),
    ),
    "roots": p(lambda c: np.roots(c)),
    # Functions of functions
    "apply_along_axis": p(lambda x: np.apply_along_axis(lambda r: r * r.sum(), 1, x), _M),
    "apply_over_axes": p(lambda x: np.apply_over_axes(np.sum, x * x, [0, 1]), _M),
    # Questions
    "array_equal": p(lambda x, y: np.array_equal(x, y), (3,), (3,)),
    "array_equiv": p(lambda x, y: np.array_equiv(x, y), (3,), (3,)),
    "can_cast": p(lambda x: np.can_cast(x.dtype, "f")),
    "common_type": p(lambda x: np.common_type(x)),
    "result_type": p(lambda x: np.result_type(x, 1j)),
    "min_scalar_type": p(lambda x: np.min_scalar_type(x)),
    "iscomplexobj": p(lambda x: np.iscomplexobj(x)),
    "isrealobj": p(lambda x: np.isrealobj(x)),
    "isscalar": p(lambda x: np.isscalar(x)),
    "isfortran": p(lambda x: np.isfortran(x), _M),
    "iterable": p(lambda x: np.iterable(x)),
    "ndim": p(lambda x: np.ndim(x), _M),
    "shape": p(lambda x: np.shape(x), _M),
    "size": p(lambda x: np.size(x), _M),
    "may_share_memory": p(lambda x, y: np.may_share_memory(x, y), (3,), (3,)),
    "shares_memory": p(lambda x, y: np.shares_memory(x, y), (3,), (3,)),
    "nested_iters": p(lambda x: [float(v) for v in np.nested_iters(x, [[0], [1]])[1]], (1, 3),
                      instead="[v for row in x for v in row]", numpys="Iterator operand"),
    # Text and files
    "array2string": p(lambda x: np.array2string(x)),
    "array_repr": p(lambda x: np.array_repr(x)),
    "array_str": p(lambda x: np.array_str(x)),
    "format_float_positional": p(lambda x: np.format_float_positional(x), (), instead='format(x, ".4f")'),
    "format_float_scientific": p(lambda x: np.format_float_scientific(x), (), instead='format(x, ".4e")'),
    "base_repr": p(lambda i: np.base_repr(i), (), integers=(0,), domain=(1, 9)),
    "binary_repr": p(lambda i: np.binary_repr(i), (), integers=(0,), domain=(1, 9)),
    "packbits": p(lambda i: np.packbits(i), (9,), booleans=(0,)),
    "unpackbits": p(lambda i: np.unpackbits(i.astype(np.uint8)), (2,), integers=(0,), domain=(0, 255)),
    "busday_offset": p(lambda i: np.busday_offset("2020-01-06", i) > np.datetime64("2019-01-01"), integers=(0,),
                       domain=(0, 9)),
}  # fmt: skip
