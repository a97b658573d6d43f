"""Pytrees through every transform, in and out: each container keeps its class and its order."""

from collections import OrderedDict, defaultdict, namedtuple
from dataclasses import dataclass

import numpy as np
import pytest

import fungrad as fg

Point = namedtuple("Point", ["x", "y"])


@dataclass
class Model:
    """Two arrays and a setting that is static because it is a string."""

    w: np.ndarray
    b: np.ndarray
    kind: str = "linear"


class Registered:
    """A class with an explicit registration."""

    def __init__(self, w, b, note):
        self.w, self.b, self.note = w, b, note


fg.tree_util.register_pytree_node(Registered, lambda r: ((r.w, r.b), r.note), lambda note, ch: Registered(*ch, note))


def _default(w, b):
    out = defaultdict(list)
    out["w"], out["b"] = w, b
    return out


MAKERS = {
    "tuple": lambda w, b: (w, b),
    "list": lambda w, b: [w, b],
    "dict": lambda w, b: {"w": w, "b": b},
    "with None": lambda w, b: {"w": w, "none": None, "b": [b, (), None]},
    "namedtuple": lambda w, b: Point(w, b),
    "OrderedDict": lambda w, b: OrderedDict([("w", w), ("b", b)]),
    "defaultdict": _default,
    "dataclass": lambda w, b: Model(w, b),
    "Partial": lambda w, b: fg.Partial(np.dot, w, b=b),
    "registered": lambda w, b: Registered(w, b, "note"),
    "nested": lambda w, b: [{"deep": (Point(w, [b]),)}],
}

W, B = np.array([1.0, 2.0]), np.array(3.0)


@pytest.fixture(params=list(MAKERS))
def make(request):
    """A function (w, b) -> container."""
    return MAKERS[request.param]


def _leaves(t):
    """w and b of a container, whatever their order."""
    return sorted(fg.tree.leaves(t), key=np.ndim, reverse=True)


def _loss(p):
    w, b = _leaves(p)
    return (w**2).sum() * b


def _same_structure(a, b):
    assert fg.tree.structure(a) == fg.tree.structure(b)
    assert type(a) is type(b)


def test_grad(make):
    """The gradient has the argument's containers."""
    p = make(W, B)
    g = fg.grad(_loss)(p)
    _same_structure(g, p)
    gw, gb = _leaves(g)
    np.testing.assert_array_equal(gw, 2 * W * B)
    assert gb == (W**2).sum()


def test_static_parts_survive():
    """Static fields, default factories, registered notes and functions come back in the gradient."""
    assert fg.grad(_loss)(Model(W, B, "affine")).kind == "affine"
    assert fg.grad(_loss)(MAKERS["registered"](W, B)).note == "note"
    assert fg.grad(_loss)(MAKERS["defaultdict"](W, B)).default_factory is list
    assert fg.grad(_loss)(MAKERS["Partial"](W, B)).func is np.dot
    assert list(fg.grad(_loss)(OrderedDict([("b", B), ("w", W)]))) == ["b", "w"]


def test_jvp(make):
    """Tangents in the primals' containers; results in those that the function returns."""
    p, t = make(W, B), make(np.ones(2), np.array(1.0))
    value, tangent = fg.jvp(lambda p: {"loss": _loss(p), "p": p}, (p,), (t,))
    assert value["loss"] == 15.0
    assert tangent["loss"] == 2 * W.sum() * 3 + 5
    _same_structure(tangent["p"], p)
    _same_structure(value["p"], p)


def test_vjp(make):
    """Cotangents in the result's containers; pull-backs in the primals'."""
    p = make(W, B)
    value, pull = fg.vjp(lambda p: p, p)
    _same_structure(value, p)
    (bar,) = pull(make(np.array([5.0, 6.0]), np.array(7.0)))
    _same_structure(bar, p)
    np.testing.assert_array_equal(_leaves(bar)[0], [5.0, 6.0])
    assert _leaves(bar)[1] == 7.0


def test_linearize(make):
    """As jvp."""
    p = make(W, B)
    _, push = fg.linearize(lambda p: make(*_leaves(p)), p)
    out = push(make(np.ones(2), np.array(2.0)))
    _same_structure(out, p)
    np.testing.assert_array_equal(_leaves(out)[0], [1.0, 1.0])


def test_linear_transpose(make):
    """Cotangents of the result's tree to a tuple of the primals' trees."""
    p = make(W, B)
    (bar,) = fg.linear_transpose(lambda p: {"out": _leaves(p)[0] * 2.0}, p)({"out": np.ones(2)})
    _same_structure(bar, p)
    np.testing.assert_array_equal(_leaves(bar)[0], [2.0, 2.0])
    assert _leaves(bar)[1] == 0.0


@pytest.mark.parametrize("jac", [fg.jacfwd, fg.jacrev, fg.jacobian])
def test_jacobians(make, jac):
    """The result's tree with the argument's tree at each leaf."""
    p = make(W, B)
    out = jac(lambda p: make(*_leaves(p)))(p)
    assert fg.tree.structure(out) == fg.tree.structure(p).compose(fg.tree.structure(p))
    assert sorted(np.shape(x) for x in fg.tree.leaves(out)) == [(), (2,), (2,), (2, 2)]


def test_hessian(make):
    """A tree of trees."""
    p = make(W, B)
    out = fg.hessian(_loss)(p)
    assert fg.tree.structure(out) == fg.tree.structure(p).compose(fg.tree.structure(p))
    leaves = {np.shape(x): x for x in fg.tree.leaves(out)}
    np.testing.assert_array_equal(leaves[(2, 2)], 2 * np.eye(2) * B)
    assert leaves[()] == 0.0


def test_hvp(make):
    """The argument's tree."""
    p, v = make(W, B), make(np.ones(2), np.array(1.0))
    out = fg.hvp(_loss, (p,), (v,))
    _same_structure(out, p)
    np.testing.assert_array_equal(_leaves(out)[0], 2 * B + 2 * W)


def test_vmap(make):
    """Every leaf is mapped; results in the containers that the function returns."""
    p = make(np.stack([W, W, W]), np.arange(3.0))
    out = fg.vmap(lambda p: make(*_leaves(p)))(p)
    _same_structure(out, p)
    np.testing.assert_array_equal(_leaves(out)[1], np.arange(3.0))
    axes = make(0, None)
    out = fg.vmap(lambda p: make(*_leaves(p)), in_axes=(axes,), out_axes=axes)(make(np.stack([W, W]), B))
    _same_structure(out, p)
    assert [np.shape(x) for x in _leaves(out)] == [(2, 2), ()]


def test_make_jaxpr_and_eval_shape(make):
    """Leaves are flat in the jaxpr; eval_shape gives the tree back."""
    p = make(W, B)
    assert len(fg.make_jaxpr(lambda p: p)(p).jaxpr.invars) == 2
    _same_structure(fg.eval_shape(lambda p: p, p), p)


def test_elementwise_grad(make):
    """The argument's tree."""
    p = make(W, B)
    out = fg.elementwise_grad(lambda p: _leaves(p)[0] * _leaves(p)[1])(p)
    _same_structure(out, p)
    np.testing.assert_array_equal(_leaves(out)[0], [3.0, 3.0])


def test_aux_may_be_any_tree(make):
    """aux keeps its containers."""
    _, aux = fg.grad(lambda x: (x, make(x * W, x)), has_aux=True)(2.0)
    _same_structure(aux, make(W, B))
    np.testing.assert_array_equal(_leaves(aux)[0], 2 * W)


def test_empty_trees():
    """Nothing to differentiate: empty containers come back."""
    assert fg.grad(lambda p, x: x * 1.0)((), 2.0) == ()
    assert fg.grad(lambda p, x: x * 1.0)({"a": None, "b": []}, 2.0) == {"a": None, "b": []}
    assert fg.vjp(lambda: ())[1](()) == ()
    assert fg.jvp(lambda x: None, (1.0,), (1.0,)) == (None, None)
    assert fg.jacrev(lambda x: {})(1.0) == {}


def test_a_callable_module_as_argument():
    """A Partial is both the function and its parameters: the gradient with respect to it is a Partial."""
    model = fg.Partial(lambda w, x: w @ x, W)
    g = fg.grad(lambda m, x: m(x) ** 2)(model, np.array([3.0, 4.0]))
    assert isinstance(g, fg.Partial)
    np.testing.assert_array_equal(g.args[0], 2 * 11.0 * np.array([3.0, 4.0]))


def test_shared_leaves_are_separate_arguments():
    """The same array twice in a tree has two gradients, as two arrays that do not share memory."""
    g = fg.grad(lambda p: (p[0] * p[1]).sum())((W, W))
    np.testing.assert_array_equal(g[0], W)
    np.testing.assert_array_equal(g[1], W)
    g[0][0] = 100.0
    assert g[1][0] == 1.0
    assert W[0] == 1.0
