"""Golden texts of the rewrite rules: a small program after each rule, and what no rule may touch."""

from __future__ import annotations

import numpy as np
import pytest
from support.jaxprs import shown

import fungrad as fg
from fungrad.core.ir import ClosedJaxpr, Jaxpr
from fungrad.passes.algebra import RULES, algebra
from fungrad.passes.cse import cse
from fungrad.passes.dce import dce
from fungrad.passes.fold import fold
from fungrad.primitives.assignment import add_slice_p
from fungrad.primitives.fft import MIRRORED
from fungrad.primitives.indexing import scatter_add
from fungrad.primitives.linalg.triangular import PAYS
from fungrad.primitives.structural import unslice_p

X = np.array([1.0, -2.0, 3.0])
M = np.arange(6.0).reshape(2, 3)


def rewritten(f, *args):
    """The equations of a program after the rules, one a line; the result is checked, and its values compared."""
    closed = fg.make_jaxpr(f)(*args)
    after = dce(algebra(closed))
    fg.check_jaxpr(after)
    assert after.in_avals == closed.in_avals
    assert [a.strong() for a in after.out_avals] == [a.strong() for a in closed.out_avals]
    for a, b in zip(fg.eval_jaxpr(after, (), *args), fg.eval_jaxpr(closed, (), *args), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-13, atol=1e-15 * np.max(np.abs(b), initial=0))
    return shown(after)


S = np.float64(2.0)
W, V = np.ones((3, 50)), np.ones(50)
P = 4 * np.eye(PAYS)
F = np.sin(np.arange(float(MIRRORED)))
HALF = MIRRORED // 2 + 1

B = np.arange(18.0).reshape(2, 3, 3)


def pieces_of(keys):
    """The cotangent of an array of which some pieces were taken, as a function of theirs."""
    return lambda *args: fg.vjp(lambda x: tuple([x[k] for k in keys]), args[-1])[1](args[:-1])[0]


ROWS = np.array([0, 1, 1, 0])


def added(x):
    """Elements added up into two."""
    return scatter_add(x, ROWS, shape=(2,))


GOLDEN = {
    "the weights of logaddexp beside a number": (
        lambda x: fg.grad(lambda x: np.sum(np.logaddexp(0.0, x)))(x),
        (X,),
        [
            "c:f64[3] = logaddexp 0.0:f64[] b",
            "d:f64[3] = sub b c",
            "e:f64[3] = exp d",
            "f:f64[3] = mul a e",
            "in (f,)",
        ],
    ),
    "the spectrum of real numbers": (
        lambda x: np.fft.fft(x),
        (F,),
        [
            f"b:c128[{HALF}] = rfft[axis=0, size={MIRRORED}, norm=backward] a",
            f"c:c128[{MIRRORED}] = mirror[axes=(0,), size={MIRRORED}] b",
            "in (c,)",
        ],
    ),
    "spectra of real numbers multiplied, and back": (
        lambda x: np.real(np.fft.ifft(2.0 * np.square(np.fft.fft(x)))),
        (F,),
        [
            f"b:c128[{HALF}] = rfft[axis=0, size={MIRRORED}, norm=backward] a",
            f"c:c128[{HALF}] = square b",
            f"d:c128[{HALF}] = mul 2.0:f64[] c",
            f"e:f64[{MIRRORED}] = irfft[axis=0, size={MIRRORED}, norm=backward] d",
            "in (e,)",
        ],
    ),
    "the spectrum of real numbers through a filter": (
        lambda x, c: np.real(np.fft.ifft(np.fft.fft(x) * c)),
        (F, np.cos(3 * F)),
        [
            f"c:c128[{HALF}] = rfft[axis=0, size={MIRRORED}, norm=backward] a",
            f"d:f64[{HALF}] = fold[axes=(0,)] b",
            f"e:c128[{HALF}] = mul c d",
            f"f:f64[{MIRRORED}] = irfft[axis=0, size={MIRRORED}, norm=backward] e",
            "in (f,)",
        ],
    ),
    "the spectrum of real numbers made complex": (
        lambda x: np.fft.fft((np.abs(np.fft.fft(x)) ** 2).astype(complex), norm="forward"),
        (F,),
        [
            f"b:c128[{HALF}] = rfft[axis=0, size={MIRRORED}, norm=backward] a",
            f"c:f64[{HALF}] = abs b",
            f"d:f64[{HALF}] = square c",
            f"e:c128[{HALF}] = convert[dtype=complex128] d",
            f"f:c128[{HALF}] = conj e",
            f"g:f64[{MIRRORED}] = irfft[axis=0, size={MIRRORED}, norm=backward] f",
            f"h:c128[{MIRRORED}] = convert[dtype=complex128] g",
            "in (h,)",
        ],
    ),
    "complementary selections of one condition": (
        lambda c, x, y: np.where(c, 0, y) + np.where(c, x, 0.0),
        (np.arange(4) > 1, np.arange(4.0), np.ones(4)),
        ["d:f64[4] = where a b c", "in (d,)"],
    ),
    "selections that overlap stay": (
        lambda c, x, y: np.where(c, x, 0) + np.where(c, y, 0),
        (np.arange(4) > 1, np.arange(4.0), np.ones(4)),
        ["d:f64[4] = where a b 0:i64[]", "e:f64[4] = where a c 0:i64[]", "f:f64[4] = add d e", "in (f,)"],
    ),
    "products with a common factor": (
        lambda x, y, z: x @ y + x @ z,
        (np.ones((4, 3)), np.ones((3, 2)), np.ones((3, 2))),
        ["d:f64[3,2] = add b c", "e:f64[4,2] = contract[spec=ab,bc->ac] a d", "in (e,)"],
    ),
    "differences of products with a common factor": (
        lambda x, y: x @ y - x @ y.T,
        (np.ones((4, 3)), np.ones((3, 3))),
        [
            "c:f64[3,3] = transpose[permutation=(1, 0)] b",
            "d:f64[3,3] = sub b c",
            "e:f64[4,3] = contract[spec=ab,bc->ac] a d",
            "in (e,)",
        ],
    ),
    "products with a common factor whose others are larger stay": (
        lambda x, y, z: x @ y + x @ z,
        (np.ones((2, 30)), np.ones((30, 2)), np.ones((30, 2))),
        [
            "d:f64[2,2] = contract[spec=ab,bc->ac] a b",
            "e:f64[2,2] = contract[spec=ab,bc->ac] a c",
            "f:f64[2,2] = add d e",
            "in (f,)",
        ],
    ),
    "sums with the same indices": (
        lambda x, y: added(x) + added(y),
        (np.arange(4.0), np.ones(4)),
        ["d:f64[4] = add b c", "e:f64[2] = scatter_add[shape=(2,), start=0, unique=False] d a", "in (e,)"],
    ),
    "differences with the same indices": (
        lambda x, y: added(x) - added(y),
        (np.arange(4.0), np.ones(4)),
        ["d:f64[4] = sub b c", "e:f64[2] = scatter_add[shape=(2,), start=0, unique=False] d a", "in (e,)"],
    ),
    "negatives of many": (
        lambda x: added(-x),
        (np.arange(4.0),),
        ["c:f64[2] = scatter_add[shape=(2,), start=0, unique=False] b a", "d:f64[2] = neg c", "in (d,)"],
    ),
    "x * 1": (lambda x: x * 1, (X,), ["in (a,)"]),
    "1.0 * x": (lambda x: 1.0 * x, (X,), ["in (a,)"]),
    "x / 1": (lambda x: x / 1.0, (X,), ["in (a,)"]),
    "x - 0": (lambda x: x - 0, (X,), ["in (a,)"]),
    "x - -0.0 stays": (lambda x: x - -0.0, (X,), ["b:f64[3] = sub a -0.0:f64[]", "in (b,)"]),
    "x + 0 stays": (lambda x: x + 0, (X,), ["b:f64[3] = add a 0:i64[]", "in (b,)"]),
    "x * 0 stays": (lambda x: x * 0, (X,), ["b:f64[3] = mul a 0:i64[]", "in (b,)"]),
    "int * 1.0 stays": (lambda x: x * 1.0, (np.arange(3),), ["b:f64[3] = mul a 1.0:f64[]", "in (b,)"]),
    "f4 * float64 stays": (lambda x: x * np.float64(1.0), (X.astype("f"),), ["b:f64[3] = mul a 1.0:f64[]", "in (b,)"]),
    "a number * ones stays": (lambda x: x * np.ones(3), (np.float64(2.0),), ["c:f64[3] = mul b a", "in (c,)"]),
    "x * -1": (lambda x: x * -1, (X,), ["b:f64[3] = neg a", "in (b,)"]),
    "-1.0 * x": (lambda x: -1.0 * x, (X,), ["b:f64[3] = neg a", "in (b,)"]),
    "-x * -y": (
        lambda x, y: -x * -y,
        (
            X,
            X,
        ),
        ["c:f64[3] = mul a b", "in (c,)"],
    ),
    "-x * 3.0": (lambda x: -x * 3.0, (X,), ["b:f64[3] = mul a -3.0:f64[]", "in (b,)"]),
    "-x * y": (
        lambda x, y: -x * y,
        (
            X,
            X,
        ),
        ["c:f64[3] = mul a b", "d:f64[3] = neg c", "in (d,)"],
    ),
    "x * -y": (
        lambda x, y: x * -y,
        (
            X,
            X,
        ),
        ["c:f64[3] = mul a b", "d:f64[3] = neg c", "in (d,)"],
    ),
    "-x * 0 stays": (lambda x: -x * 0, (X,), ["b:f64[3] = mul a 0:i64[]", "c:f64[3] = neg b", "in (c,)"]),
    "-x * 0.0": (lambda x: -x * 0.0, (X,), ["b:f64[3] = mul a -0.0:f64[]", "in (b,)"]),
    "-x * y, -x used twice": (
        lambda x, y: (lambda z: (z * y, z))(-x),
        (
            X,
            X,
        ),
        ["c:f64[3] = neg a", "d:f64[3] = mul c b", "in (d, c)"],
    ),
    "x / -y": (
        lambda x, y: x / -y,
        (
            X,
            X,
        ),
        ["c:f64[3] = div a b", "d:f64[3] = neg c", "in (d,)"],
    ),
    "-x / -y": (
        lambda x, y: -x / -y,
        (
            X,
            X,
        ),
        ["c:f64[3] = neg a", "d:f64[3] = div c b", "e:f64[3] = neg d", "in (e,)"],
    ),
    "-x / y": (
        lambda x, y: -x / y,
        (
            X,
            X,
        ),
        ["c:f64[3] = neg a", "d:f64[3] = div c b", "in (d,)"],
    ),
    "x / 4": (lambda x: x / 4, (X,), ["b:f64[3] = mul a 0.25:f64[]", "in (b,)"]),
    "x / 0.5": (lambda x: x / 0.5, (X,), ["b:f64[3] = mul a 2.0:f64[]", "in (b,)"]),
    "x / 3 stays": (lambda x: x / 3, (X,), ["b:f64[3] = div a 3:i64[]", "in (b,)"]),
    "x / 0 stays": (lambda x: x / 0.0, (X,), ["b:f64[3] = div a 0.0:f64[]", "in (b,)"]),
    "int / 4": (lambda x: x / 4, (np.arange(3),), ["b:f64[3] = mul a 0.25:f64[]", "in (b,)"]),
    "f2 / 2**20 stays": (lambda x: x / 2.0**20, (X.astype("e"),), ["b:f16[3] = div a 1048576.0:f64[]", "in (b,)"]),
    "--x": (lambda x: np.negative(-x), (X,), ["in (a,)"]),
    "-(x * 3.0)": (lambda x: -(x * 3.0), (X,), ["b:f64[3] = mul a -3.0:f64[]", "in (b,)"]),
    "-(x * 0) stays": (lambda x: -(x * 0), (X,), ["b:f64[3] = mul a 0:i64[]", "c:f64[3] = neg b", "in (c,)"]),
    "-(x - y) stays": (
        lambda x, y: -(x - y),
        (
            X,
            X,
        ),
        ["c:f64[3] = sub a b", "d:f64[3] = neg c", "in (d,)"],
    ),
    "--int stays": (lambda x: np.negative(-x), (np.arange(3),), ["b:i64[3] = neg a", "c:i64[3] = neg b", "in (c,)"]),
    "x + -y": (
        lambda x, y: x + -y,
        (
            X,
            X,
        ),
        ["c:f64[3] = sub a b", "in (c,)"],
    ),
    "-x + y": (
        lambda x, y: -x + y,
        (
            X,
            X,
        ),
        ["c:f64[3] = sub b a", "in (c,)"],
    ),
    "x - -y": (
        lambda x, y: x - -y,
        (
            X,
            X,
        ),
        ["c:f64[3] = add a b", "in (c,)"],
    ),
    "x + x": (lambda x: x + x, (X,), ["b:f64[3] = mul a 2:i64[]", "in (b,)"]),
    "int + int stays": (lambda x: x + x, (np.arange(3),), ["b:i64[3] = add a a", "in (b,)"]),
    "x * 2 * 4": (lambda x: x * 2.0 * 4.0, (X,), ["b:f64[3] = mul a 8.0:f64[]", "in (b,)"]),
    "x * 4.0 * 0.25 stays": (
        lambda x: x * 4.0 * 0.25,
        (X,),
        ["b:f64[3] = mul a 4.0:f64[]", "c:f64[3] = mul b 0.25:f64[]", "in (c,)"],
    ),
    "x * 2 * 3 stays": (lambda x: x * 2.0 * 3.0, (X,), ["b:f64[3] = mul a 6.0:f64[]", "in (b,)"]),
    "x ** 1": (lambda x: x**1, (X,), ["in (a,)"]),
    "x ** 2": (lambda x: x**2, (X,), ["b:f64[3] = square a", "in (b,)"]),
    "x ** 3": (lambda x: x**3, (X,), ["b:f64[3] = square a", "c:f64[3] = mul b a", "in (c,)"]),
    "x ** 4": (lambda x: x**4, (X,), ["b:f64[3] = square a", "c:f64[3] = square b", "in (c,)"]),
    "x ** -1": (lambda x: x ** (-1), (X,), ["b:f64[3] = reciprocal a", "in (b,)"]),
    "x ** 0.5": (lambda x: (x * x) ** 0.5, (X,), ["b:f64[3] = mul a a", "c:f64[3] = sqrt b", "in (c,)"]),
    "x ** 7": (
        lambda x: x**7,
        (X,),
        ["b:f64[3] = square a", "c:f64[3] = mul b a", "d:f64[3] = square c", "e:f64[3] = mul d a", "in (e,)"],
    ),
    "x ** 9 stays": (lambda x: x**9, (X,), ["b:f64[3] = power a 9:i64[]", "in (b,)"]),
    "x ** -2 stays": (lambda x: x ** (-2), (X,), ["b:f64[3] = power a -2:i64[]", "in (b,)"]),
    "int ** 2": (lambda x: x**2, (np.arange(3),), ["b:i64[3] = power a 2:i64[]", "in (b,)"]),
    "x ** 2.5 stays": (
        lambda x: np.abs(x) ** 2.5,
        (X,),
        ["b:f64[3] = abs a", "c:f64[3] = power b 2.5:f64[]", "in (c,)"],
    ),
    "scalar ** 0.5 stays": (lambda x: x**0.5, (S,), ["b:f64[] = power a 0.5:f64[]", "in (b,)"]),
    "2 ** x stays": (lambda x: 2**x, (X,), ["b:f64[3] = power 2:i64[] a", "in (b,)"]),
    "(-x) ** 2": (lambda x: (-x) ** 2, (X,), ["b:f64[3] = square a", "in (b,)"]),
    "reshape to its shape": (lambda x: np.reshape(x, (2, 3)), (M,), ["in (a,)"]),
    "reshape twice": (lambda x: x.reshape(3, 2).reshape(-1), (M,), ["b:f64[6] = reshape[shape=(6,)] a", "in (b,)"]),
    "reshape there and back": (lambda x: x.reshape(-1).reshape(2, 3), (M,), ["in (a,)"]),
    "transpose twice": (lambda x: x.T.T, (M,), ["in (a,)"]),
    "transposes compose": (
        lambda x: x.transpose(1, 2, 0).transpose(1, 2, 0),
        (M[None],),
        ["b:f64[3,1,2] = transpose[permutation=(2, 0, 1)] a", "in (b,)"],
    ),
    "transpose of nothing": (lambda x: x.transpose(0, 1), (M,), ["in (a,)"]),
    "broadcast to its shape": (lambda x: np.broadcast_to(x, (2, 3)), (M,), ["in (a,)"]),
    "broadcast twice": (
        lambda x: np.broadcast_to(np.broadcast_to(x, (2, 3)), (4, 2, 3)),
        (X,),
        ["b:f64[4,2,3] = broadcast_to[shape=(4, 2, 3)] a", "in (b,)"],
    ),
    "x[:]": (lambda x: x[:], (M,), ["in (a,)"]),
    "x[:, :]": (lambda x: x[:, 0:3], (M,), ["in (a,)"]),
    "x[:1] stays": (lambda x: x[:1], (M,), ["b:f64[1,3] = slice[index=((0, 1, 1),)] a", "in (b,)"]),
    "f(broadcast)": (
        lambda x: np.sin(np.broadcast_to(x, (2, 3))),
        (X,),
        ["b:f64[3] = sin a", "c:f64[2,3] = broadcast_to[shape=(2, 3)] b", "in (c,)"],
    ),
    "broadcast + y": (
        lambda x, y: np.broadcast_to(x, (2, 3)) + y,
        (
            X,
            M,
        ),
        ["c:f64[2,3] = add a b", "in (c,)"],
    ),
    "broadcast * broadcast": (
        lambda x, y: np.broadcast_to(x, (2, 3)) * np.broadcast_to(y, (2, 3)),
        (
            X,
            X,
        ),
        ["c:f64[3] = mul a b", "d:f64[2,3] = broadcast_to[shape=(2, 3)] c", "in (d,)"],
    ),
    "broadcast of a number": (lambda x: np.broadcast_to(2.0, (2, 3)) * x, (M,), ["c:f64[2,3] = mul a b", "in (c,)"]),
    "sum over axes of size 1": (lambda x: x.sum(axis=0), (M[:1],), ["b:f64[3] = reshape[shape=(3,)] a", "in (b,)"]),
    "sum(-x)": (lambda x: (-x).sum(axis=0), (M,), ["b:f64[3] = sum[axes=(0,)] a", "c:f64[3] = neg b", "in (c,)"]),
    "sum(broadcast)": (lambda x: np.broadcast_to(x, (4, 3)).sum(axis=0), (X,), ["b:f64[3] = mul a 4:i64[]", "in (b,)"]),
    "sum(broadcast) of all": (
        lambda x: np.broadcast_to(x, (4, 3)).sum(),
        (X,),
        ["b:f64[] = sum[axes=(0,)] a", "c:f64[] = mul b 4:i64[]", "in (c,)"],
    ),
    "sum(broadcast) kept axis": (
        lambda x: np.broadcast_to(x, (4, 3)).sum(axis=1),
        (X,),
        ["b:f64[4,3] = broadcast_to[shape=(4, 3)] a", "c:f64[4] = sum[axes=(1,)] b", "in (c,)"],
    ),
    "sum(broadcast of nothing) stays": (
        lambda x: np.broadcast_to(x, (0, 3)).sum(axis=0),
        (X,),
        ["b:f64[0,3] = broadcast_to[shape=(0, 3)] a", "c:f64[3] = sum[axes=(0,)] b", "in (c,)"],
    ),
    "sum(broadcast) of ints stays": (
        lambda x: np.broadcast_to(x, (4, 3)).sum(axis=0),
        (np.arange(3),),
        ["b:i64[4,3] = broadcast_to[shape=(4, 3)] a", "c:i64[3] = sum[axes=(0,)] b", "in (c,)"],
    ),
    "sum(broadcast) of complex stays": (
        lambda x: np.broadcast_to(x, (4, 3)).sum(axis=0),
        (X + 1j,),
        ["b:c128[4,3] = broadcast_to[shape=(4, 3)] a", "c:c128[3] = sum[axes=(0,)] b", "in (c,)"],
    ),
    "sum(x * y)": (
        lambda x, y: (x * y).sum(),
        (
            M,
            M,
        ),
        ["c:f64[] = contract[spec=ab,ab->] a b", "in (c,)"],
    ),
    "sum(x * x)": (lambda x: (x**2).sum(), (M,), ["b:f64[] = contract[spec=ab,ab->] a a", "in (b,)"]),
    "sum(x * y) over an axis stays": (
        lambda x, y: (x * y).sum(axis=0),
        (
            M,
            M,
        ),
        ["c:f64[2,3] = mul a b", "d:f64[3] = sum[axes=(0,)] c", "in (d,)"],
    ),
    "sum(x * broadcast) stays": (
        lambda x, y: (x * y).sum(),
        (
            M,
            X,
        ),
        ["c:f64[2,3] = mul a b", "d:f64[] = sum[axes=(0, 1)] c", "in (d,)"],
    ),
    "sum of ints stays": (
        lambda x: (x * x).sum(),
        (np.arange(3),),
        ["b:i64[3] = mul a a", "c:i64[] = sum[axes=(0,)] b", "in (c,)"],
    ),
    "transpose @": (
        lambda x, y: x.T @ y,
        (
            M,
            M,
        ),
        ["c:f64[3,3] = contract[spec=ba,bc->ac] a b", "in (c,)"],
    ),
    "@ transpose": (
        lambda x, y: x @ y.T,
        (
            M,
            M,
        ),
        ["c:f64[2,2] = contract[spec=ab,cb->ac] a b", "in (c,)"],
    ),
    "(x @ y).T": (
        lambda x, y: (x @ y).T,
        (
            M,
            M.T.copy(),
        ),
        ["c:f64[2,2] = contract[spec=ab,bc->ca] a b", "in (c,)"],
    ),
    "(x @ y).T used twice stays": (
        lambda x, y: (lambda z: (z, z.T))(x @ y),
        (
            M,
            M.T.copy(),
        ),
        ["c:f64[2,2] = contract[spec=ab,bc->ac] a b", "d:f64[2,2] = transpose[permutation=(1, 0)] c", "in (c, d)"],
    ),
    "(x @ W) @ v": (
        lambda a, b, v: a @ b @ v,
        (
            W.T.copy(),
            W,
            V,
        ),
        ["d:f64[3] = contract[spec=αb,b->α] b c", "e:f64[50] = contract[spec=aα,α->a] a d", "in (e,)"],
    ),
    "x @ (W @ v) stays": (
        lambda a, b, v: a @ (b @ v),
        (
            W.T.copy(),
            W,
            V,
        ),
        ["d:f64[3] = contract[spec=ab,b->a] b c", "e:f64[50] = contract[spec=ab,b->a] a d", "in (e,)"],
    ),
    "equal costs stay": (
        lambda a, b, c: a @ b @ c,
        (
            np.ones((3, 3)),
            np.ones((3, 3)),
            np.ones((3, 3)),
        ),
        ["d:f64[3,3] = contract[spec=ab,bc->ac] a b", "e:f64[3,3] = contract[spec=ab,bc->ac] d c", "in (e,)"],
    ),
    "sum(x @ y) of a batch": (
        lambda x, y: np.einsum("abc,acd->abd", x, y).sum(axis=0),
        (B, B.mT.copy()),
        ["c:f64[3,3] = contract[spec=abc,acd->bd] a b", "in (c,)"],
    ),
    "sum(x * y) of axes in any order": (
        lambda x, y: np.einsum("abc,abc->cab", x, y).sum(axis=(0, 2)),
        (B, B),
        ["c:f64[2] = contract[spec=abc,abc->a] a b", "in (c,)"],
    ),
    "sum(x * y) of everything": (
        lambda x, y: np.einsum("ab,ab->ba", x, y).sum(),
        (M, M),
        ["c:f64[] = contract[spec=ab,ab->] a b", "in (c,)"],
    ),
    "sum(x @ y) over what x alone has stays": (
        lambda x, y: (x @ y).sum(axis=0),
        (M, M.T.copy()),
        ["c:f64[2,2] = contract[spec=ab,bc->ac] a b", "d:f64[2] = sum[axes=(0,)] c", "in (d,)"],
    ),
    "sum(x @ y) over what y alone has stays": (
        lambda x, y: (x @ y).sum(axis=1),
        (M, M.T.copy()),
        ["c:f64[2,2] = contract[spec=ab,bc->ac] a b", "d:f64[2] = sum[axes=(1,)] c", "in (d,)"],
    ),
    "sum(x @ y) used twice stays": (
        lambda x, y: (lambda z: (z, z.sum(axis=0)))(np.einsum("ab,ab->ab", x, y)),
        (M, M),
        ["c:f64[2,3] = mul a b", "d:f64[3] = sum[axes=(0,)] c", "in (c, d)"],
    ),
    "sum(x @ y) of ints": (
        lambda x, y: np.einsum("ab,ab->ab", x, y).sum(axis=0),
        (M.astype(int), M.astype(int)),
        ["c:i64[3] = contract[spec=ab,ab->b] a b", "in (c,)"],
    ),
    "sum(x @ y) of small ints stays": (
        lambda x, y: np.einsum("ab,ab->ab", x, y).sum(axis=0),
        (M.astype("i1") * 20, M.astype("i1") * 20),
        ["c:i8[2,3] = contract[spec=ab,ab->ab] a b", "d:i64[3] = sum[axes=(0,)] c", "in (d,)"],
    ),
    "sum(x @ y) of truth values stays": (
        lambda x, y: np.einsum("ab,ab->ab", x, y).sum(axis=0),
        (M > 2, M < 5),
        ["c:bool[2,3] = contract[spec=ab,ab->ab] a b", "d:i64[3] = sum[axes=(0,)] c", "in (d,)"],
    ),
    "x * y by a product": (
        lambda x, y: np.einsum("a,ab->ab", x, y) + np.einsum("ab,b->ab", y, y[0]),
        (M[:, 0].copy(), M),
        [
            "c:f64[2,1] = reshape[shape=(2, 1)] a",
            "d:f64[2,3] = mul c b",
            "e:f64[3] = slice[index=(0,)] b",
            "f:f64[1,3] = reshape[shape=(1, 3)] e",
            "g:f64[2,3] = mul b f",
            "h:f64[2,3] = add d g",
            "in (h,)",
        ],
    ),
    "x * y by a product, transposed, stays": (
        lambda x, y: np.einsum("a,ab->ba", x, y),
        (M[:, 0].copy(), M),
        ["c:f64[3,2] = contract[spec=a,ab->ba] a b", "in (c,)"],
    ),
    "var": (
        lambda x: np.var(x, axis=1),
        (M,),
        [
            "b:f64[2] = sum[axes=(1,)] a",
            "c:f64[2] = div b 3:i64[]",
            "d:f64[2,1] = reshape[shape=(2, 1)] c",
            "e:f64[2,3] = sub a d",
            "f:f64[2,3] = square e",
            "g:f64[2] = sum[axes=(1,)] f",
            "h:f64[2] = div g 3:i64[]",
            "in (h,)",
        ],
    ),
    "slice of a padded array": (
        lambda x: np.pad(x, ((1, 0), (0, 2)))[:2, 1:4],
        (M,),
        [
            "b:f64[1,2] = slice[index=((0, 1, 1), (1, 3, 1))] a",
            "c:f64[2,3] = unslice[shape=(2, 3), index=((1, 2, 1), (0, 2, 1))] b",
            "in (c,)",
        ],
    ),
    "slice of zeros beside stays": (
        lambda x: np.pad(x, ((2, 0), (0, 0)))[:2],
        (M,),
        [
            "b:f64[4,3] = unslice[shape=(4, 3), index=((2, 4, 1), (0, 3, 1))] a",
            "c:f64[2,3] = slice[index=((0, 2, 1),)] b",
            "in (c,)",
        ],
    ),
    "tiles of a vector": (
        pieces_of((slice(1), slice(1, None))),
        (X[:1], X[1:], X),
        ["d:f64[3] = concatenate[dimension=0] a b", "in (d,)"],
    ),
    "tiles of columns in any order": (
        pieces_of((np.s_[:, 1:2], np.s_[:, :1], np.s_[:, 2:])),
        (M[:, 1:2], M[:, :1], M[:, 2:], M),
        ["e:f64[2,3] = concatenate[dimension=1] b a c", "in (e,)"],
    ),
    "tiles of rows": (
        pieces_of((np.s_[:1], np.s_[1:])),
        (M[:1], M[1:], M),
        ["d:f64[2,3] = concatenate[dimension=0] a b", "in (d,)"],
    ),
    "tiles with a gap stay": (
        pieces_of((slice(1), slice(2, None))),
        (X[:1], X[2:], X),
        [
            "d:f64[3] = unslice[shape=(3,), index=((2, 3, 1),)] b",
            "e:f64[3] = add_slice[index=((0, 1, 1),)] d a",
            "in (e,)",
        ],
    ),
    "tiles that leave the end out stay": (
        pieces_of((slice(1), slice(1, 2))),
        (X[:1], X[1:2], X),
        [
            "d:f64[3] = unslice[shape=(3,), index=((1, 2, 1),)] b",
            "e:f64[3] = add_slice[index=((0, 1, 1),)] d a",
            "in (e,)",
        ],
    ),
    "tiles that overlap stay": (
        pieces_of((slice(2), slice(1, None))),
        (X[:2], X[1:], X),
        [
            "d:f64[3] = unslice[shape=(3,), index=((1, 3, 1),)] b",
            "e:f64[3] = add_slice[index=((0, 2, 1),)] d a",
            "in (e,)",
        ],
    ),
    "tiles of one place stay": (
        pieces_of((slice(1), slice(1), slice(1, None))),
        (X[:1], X[:1], X[1:], X),
        [
            "e:f64[3] = concatenate[dimension=0] b c",
            "f:f64[3] = add_slice[index=((0, 1, 1),)] e a",
            "in (f,)",
        ],
    ),
    "tiles with steps stay": (
        pieces_of((slice(None, None, 2), slice(1, None, 2))),
        (X[::2], X[1::2], X),
        [
            "d:f64[3] = unslice[shape=(3,), index=((1, 3, 2),)] b",
            "e:f64[3] = add_slice[index=((0, 3, 2),)] d a",
            "in (e,)",
        ],
    ),
    "tiles of two axes stay": (
        pieces_of((np.s_[:1], np.s_[1:, :1], np.s_[1:, 1:])),
        (M[:1], M[1:, :1], M[1:, 1:], M),
        [
            "e:f64[2,3] = unslice[shape=(2, 3), index=((1, 2, 1), (1, 3, 1))] c",
            "f:f64[2,3] = add_slice[index=((1, 2, 1), (0, 1, 1))] e b",
            "g:f64[2,3] = add_slice[index=((0, 1, 1),)] f a",
            "in (g,)",
        ],
    ),
    "elements stay": (
        pieces_of((0, slice(1, None))),
        (X[0], X[1:], X),
        [
            "d:f64[3] = unslice[shape=(3,), index=((1, 3, 1),)] b",
            "e:f64[3] = add_slice[index=(0,)] d a",
            "in (e,)",
        ],
    ),
    "solve(cholesky(x), y)": (
        lambda x: np.linalg.solve(np.linalg.cholesky(x), x),
        (P,),
        [
            f"b:f64[{PAYS},{PAYS}] = cholesky a",
            f"c:f64[{PAYS},{PAYS}] = solve_triangular[lower=True] b a",
            "in (c,)",
        ],
    ),
    "inv(cholesky(x))": (
        lambda x: np.linalg.inv(np.linalg.cholesky(x)),
        (P,),
        [f"b:f64[{PAYS},{PAYS}] = cholesky a", f"c:f64[{PAYS},{PAYS}] = inv_triangular[lower=True] b", "in (c,)"],
    ),
}
"""For each rule: a program, its arguments, and what it becomes; ``stays``: no rule may touch it."""


@pytest.mark.parametrize("name", list(GOLDEN))
def test_golden(name):
    """The program becomes what is written beside it, of the same types and values; the rules change nothing then."""
    f, args, text = GOLDEN[name]
    with np.errstate(all="ignore"):
        assert rewritten(f, *args) == text
        once = dce(algebra(fg.make_jaxpr(f)(*args)))
        assert shown(dce(algebra(once))) == text


OF_DERIVATIVES = {
    "added to a slice": lambda x: np.sum(x[1:] ** 2) + np.sum(np.sin(x)),
    "added to an element": lambda x: x[0] ** 2 + np.sum(np.sin(x)),
    "slices overlap": lambda x: np.sum(x[1:] * x[:-1]),
    "to all of it": lambda x: np.sum(np.split(x, 1)[0] ** 2) + np.sum(np.concatenate([x]) ** 3),
    "reversed": lambda x: np.sum(x[::-1] * x[1] * x),
    "twice": lambda x: np.sum(x[:2]) * np.sum(x[:2]) + np.sum(x * x),
}


@pytest.mark.parametrize("name", list(OF_DERIVATIVES))
def test_slices_in_derivatives(name):
    """What is written into zeros and added: the gradient is the plain one, its operands are left alone."""
    f = OF_DERIVATIVES[name]
    g = lambda x, y: (
        fg.grad(f)(x),
        fg.grad(f)(x) + y,
        fg.vjp(lambda x: (x, x[1:], x[0]), x)[1]((y, y[1:], y[0]))[0],
        y,
    )
    x, y = X.copy(), X + 1.0
    got = fg.jit(g)(x, y)
    for a, b in zip(got, g(x, y), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-13)
    np.testing.assert_array_equal(x, X)
    np.testing.assert_array_equal(y, X + 1.0)


NEVER = {"_slice"}  # x[:] is not recorded; it is for slices that other rules make


def test_every_rule_has_a_case():
    """Each rule of the tables fires in one of the cases above."""
    fired = set()

    def watch(rule):
        def watched(b, eqn):
            found = rule(b, eqn)
            if found is not None:
                fired.add(rule)
            return found

        return watched

    rules = {r for found in RULES.values() for r in found}
    with pytest.MonkeyPatch.context() as patch, np.errstate(all="ignore"):
        for name, found in RULES.items():
            patch.setitem(RULES, name, [watch(r) for r in found])
        for f, args, _ in GOLDEN.values():
            algebra(fg.make_jaxpr(f)(*args))
        for f in OF_DERIVATIVES.values():
            algebra(fg.make_jaxpr(fg.grad(f))(X))
    assert {r.__name__ for r in rules - fired} - NEVER == set()


def put_together(shape, *places):
    """Zeros with an array written at the first place, and arrays added at the others."""

    def f(*pieces):
        whole = unslice_p.bind(pieces[0], shape=shape, index=places[0])
        for piece, index in zip(pieces[1:], places[1:], strict=True):
            whole = add_slice_p.bind(whole, piece, index=index)
        return whole

    zeros = np.zeros(shape)
    pieces = [zeros[tuple([slice(None) if i is None else slice(*i) for i in index])] + 1.5 for index in places]
    return f, pieces


TILES = {
    "nine": (put_together((9,), *[((k, k + 1, 1),) for k in range(9)]), True),
    "ten": (put_together((10,), *[((k, k + 1, 1),) for k in range(10)]), False),
    "empty ones": (put_together((3,), ((0, 1, 1),), ((1, 1, 1),), ((1, 3, 1),)), True),
    "one place twice": (put_together((3,), ((0, 1, 1),), ((0, 1, 1),), ((1, 3, 1),)), False),
    "one place at the end twice": (put_together((3,), ((1, 3, 1),), ((1, 3, 1),), ((0, 1, 1),)), False),
    "steps": (put_together((3,), ((0, 2, 2),), ((2, 3, 1),)), False),
    "axes": (put_together((2, 2), ((0, 1, 1), None), (None, (1, 2, 1))), False),
    "corners": (put_together((2, 2), ((0, 1, 1), (0, 1, 1)), ((1, 2, 1), (1, 2, 1))), False),
    "everywhere": (put_together((2, 2), ((0, 1, 1), None), (None, None)), False),
    "the middle axis": (put_together((2, 3, 2), (None, (1, 3, 1), None), (None, (0, 1, 1))), True),
}
"""Pieces of an array, and whether they are tiles."""


@pytest.mark.parametrize("name", list(TILES))
def test_tiles(name):
    """Pieces that fill one axis, none of it twice, are concatenated; others are added one by one."""
    (f, pieces), are_tiles = TILES[name]
    text = rewritten(f, *pieces)
    assert (sum("concatenate" in line for line in text), len(text)) == ((1, 2) if are_tiles else (0, len(pieces) + 1))


def test_tiles_that_are_read_before_they_are_complete():
    """An array that something else reads stays, and the rest is added to it."""

    def f(a, b, c):
        x = unslice_p.bind(a, shape=(3,), index=((0, 1, 1),))
        y = add_slice_p.bind(x, b, index=((1, 2, 1),))
        return add_slice_p.bind(y, c, index=((2, 3, 1),)), y

    text = rewritten(f, X[:1], X[1:2], X[2:])
    assert [line.split()[2].partition("[")[0] for line in text[:-1]] == ["unslice", "add_slice", "add_slice"]


TYPES = "bhilBHILefdg"


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("name", [
    "x / 4", "x / 4.0", "x / np.int8(4)", "x / np.float32(4)", "x / np.float64(4)", "x * 1", "x * 1.0",
    "x * np.float64(1)", "x - 0", "x - 0.0", "x - np.float64(0)", "x + x", "x ** 2", "x ** 1",
    "np.power(x, np.float32(2))", "x ** np.int64(3)", "x * np.float16(2) * np.float16(4)", "x * 2.0 * np.float32(4)",
    "x * np.float64(2) * 4",
    "x * 2 * np.float64(8)", "-(x * np.float32(3))", "(-x) * np.float64(3)", "np.float64(3) * (-x)", "(-x) * y",
    "y * (-x)", "y + (-x)", "(-x) + y", "y - (-x)", "y / (-x)", "(-x) / (-y)", "(-x) * (-x)", "np.square(-x)",
    "3 - (-x)", "-(-x)", "(-x) * 3", "(-x) + 3", "-(x * 0)", "(-x) * 0.0", "np.broadcast_to(x, (2, 3)).sum(axis=0)",
    "np.broadcast_to(x, (2, 3)).mean(axis=0)", "np.sum(-x)", "np.sum(-x, dtype=float)", "np.sum(x * x)",
    "np.sum(x * y)", "(x * 1).reshape(1, 3).sum(axis=0)", "np.sum(np.broadcast_to(x, (300, 3)))",
    "np.broadcast_to(x, (2, 3)) + y", "x.reshape(3, 1) @ np.ones((1, 3), 'f')",
])  # fmt: skip
def test_rules_keep_promotion(name, dtype):
    """Whatever the dtypes are, of arrays and of constants, the result has NumPy's dtype and value.

    (The operator of NumPy 2.0 gives other dtypes to powers whose exponent is 2.)
    """
    f = eval(f"lambda x, y: {name}", {"np": np})
    x, y = np.array([1, 2, 3]).astype(dtype), np.array([2.0, 0.5, -1.0])
    try:
        with np.errstate(all="ignore"):
            want = f(x, y)
    except OverflowError:
        pytest.skip("NumPy refuses the constant")
    with np.errstate(all="ignore"):
        got = fg.jit(f)(x, y)
    assert got.dtype == want.dtype
    np.testing.assert_allclose(got, want, rtol=1e-2 if dtype == "e" else 1e-6)


# Constants


def with_constants(f, constants, *args):
    """The jaxpr of ``f(*constants, *args)`` with its first arguments as constants."""
    closed = fg.make_jaxpr(f)(*constants, *args)
    jaxpr, n = closed.jaxpr, len(constants)
    moved = Jaxpr([*jaxpr.constvars, *jaxpr.invars[:n]], jaxpr.invars[n:], jaxpr.eqns, jaxpr.outvars)
    return ClosedJaxpr(moved, [*closed.consts, *constants])


def folded(f, constants, *args):
    """The text of such a program after constants are computed."""
    closed = with_constants(f, constants, *args)
    after = dce(fold(closed))
    fg.check_jaxpr(after)
    for a, b in zip(fg.eval_jaxpr(after, (), *args), fg.eval_jaxpr(closed, (), *args), strict=True):
        np.testing.assert_array_equal(a, b)
    return shown(after)


C = np.arange(3.0)


def test_constants_are_computed():
    """What depends on no argument becomes a constant; numbers become literals."""
    assert folded(lambda c, x: x * np.sum(c * 2.0), [C], X) == ["b:f64[3] = mul a 6.0:f64[]", "in (b,)"]
    assert folded(lambda c, x: x + np.sin(c) * 2.0, [C], X) == ["c:f64[3] = add b a", "in (c,)"] or folded(
        lambda c, x: x + np.sin(c) * 2.0, [C], X
    ) == ["c:f64[3] = add a b", "in (c,)"]
    assert folded(lambda c, x: (x, c + c, np.max(c)), [C], X)[-1].endswith("2.0:f64[])")


def test_repeated_numbers_become_broadcasts():
    """An array of one repeated number is a broadcast literal."""
    assert folded(lambda c, x: x * c, [np.ones((2, 3))], M) == [
        "b:f64[2,3] = broadcast_to[shape=(2, 3)] 1.0:f64[]",
        "c:f64[2,3] = mul a b",
        "in (c,)",
    ]


@pytest.mark.parametrize("c", [
    [0.0, -0.0, 0.0], [-0.0, 0.0, 0.0], [-0.0, -0.0, -0.0], [1.0, np.nan, 1.0], [np.nan, np.nan, np.nan],
    [0j, 0j, complex(-0.0, -0.0)], [0j, 0j, complex(0.0, -0.0)], [complex(0.0, -0.0)] * 3,
    [complex(-0.0, 0.0), 0j, 0j], [1, 1, 1], [True, True, True],
], ids=str)  # fmt: skip
def test_constants_keep_their_bits(c):
    """Signed zeros, also of imaginary parts, and nan among equal numbers."""
    c = np.array(c)
    got = fg.jit(lambda x: np.where(x > 9.0, x.astype(c.dtype), c))(X)
    assert got.dtype == c.dtype
    for part in ("real", "imag"):
        a, b = getattr(got, part), getattr(c, part)
        np.testing.assert_array_equal(a, b)
        if c.dtype.kind in "fc":
            np.testing.assert_array_equal(np.signbit(a), np.signbit(b))


def test_large_constants_are_not_made():
    """Constants that would be larger than what they are made of stay expressions."""
    closed = with_constants(lambda c, x: x + np.outer(np.sin(c), c), [np.arange(1000.0)], np.ones((1000, 1000)))
    assert sum(np.size(v) for v in fold(closed).consts) <= 3000


def test_what_raises_is_left_to_the_program():
    """A constant expression that raises does so when the program runs, not when it is compiled."""
    closed = with_constants(lambda c, x: np.linalg.inv(c) + x, [np.zeros((2, 2))], np.eye(2))
    after = fold(closed)
    assert "inv" in str(after)
    with pytest.raises(np.linalg.LinAlgError):
        fg.eval_jaxpr(after, (), np.eye(2))


# Common subexpressions and dead code


def test_common_subexpressions():
    """The same operation on the same operands is there once, commuted operands of sums and products included."""
    f = lambda x: (np.sin(x) * 2.0, np.sin(x) + np.cos(x), np.cos(x) + np.sin(x), x * x[0], x[0] * x)
    assert shown(cse(fg.make_jaxpr(f)(X))) == [
        "b:f64[3] = sin a",
        "c:f64[3] = mul b 2.0:f64[]",
        "d:f64[3] = cos a",
        "e:f64[3] = add b d",
        "f:f64[] = slice[index=(0,)] a",
        "g:f64[3] = mul a f",
        "in (c, e, e, g, g)",
    ]


def test_what_is_not_common():
    """Other constants, parameters and types are other things: 2 and 2.0, 0.0 and -0.0, axes, dtypes."""
    f = lambda x: (x * 2, x * 2.0, x - 0.0, x - -0.0, x - y, y - x, x.sum(axis=0), x.sum(axis=1), x.astype("f4"))
    y = np.ones((2, 3))
    assert len(cse(fg.make_jaxpr(f)(M)).eqns) == 9


def test_constants_that_are_one_object():
    """A constant that is used twice is one constant."""
    c = np.arange(3.0)
    inner = fg.jit(lambda x: x * c)
    lowered = fg.jit(lambda x: inner(x) + inner(x + 1.0)).lower(X)
    assert len(lowered.optimized.consts) == 1


def test_dead_code():
    """What no result depends on goes, constants included; the arguments stay."""

    def f(x, y):
        np.sin(x) * np.arange(3.0)
        return x * 2.0

    closed = fg.make_jaxpr(f)(X, X)
    after = dce(closed)
    assert shown(after) == ["c:f64[3] = mul a 2.0:f64[]", "in (c,)"]
    assert len(after.jaxpr.invars) == 2 and not after.consts
