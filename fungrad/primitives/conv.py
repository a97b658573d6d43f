"""Convolution of arrays with any number of spatial axes: a contraction in which some labels slide.

    conv(x, y; spec, spatial, windows)      as contract(x, y, spec), but for each label in ``spatial``
                                            out[p] = sum over k of x~[p stride + k dilation - low] y[k]

where x~ is x with ``spread - 1`` zeros between its elements, and zeros outside. A window is (stride, low, high,
spread, dilation): x~ has ``low`` zeros in front and ``high`` behind (negative: elements are cut off). So in

    conv(x, y; "nhwc,hwio->nhwo", "hw", ...)     (spelt "nhwi,hwio->nhwo")

``n`` is a label of x and the result, ``i`` is summed, ``o`` belongs to y and the result. A label of all three is a
batch label: grouped convolutions, and those of a batch of kernels. With any stride, padding and dilation the primitive
is closed under transposition. The sum is over all (p, s, k) with ``p stride + k dilation - low = s spread``, and

    x_bar    solve for p, with k counted from the other end: stride and spread change places
    y_bar    solve for k: p and k change places, and with them stride and dilation

No product with a zero that was put between or outside of the elements is avoided: ``inf`` in y meets them.

Computed as a product of matrices: the windows of x, a view, are copied into the rows or columns of a matrix
(Chellapilla et al. 2006), in pieces that stay in the cache. Where x is spread, each element of the kernel by itself is
multiplied with x and added to where it belongs, which skips the zeros.
"""

from __future__ import annotations

import itertools
import math
import threading
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from fungrad.core.aval import Shape, ShapedArray, typeof
from fungrad.core.lowering import NEW, ROWS, Emission, Lowering, Ways
from fungrad.core.primitive import Multilinear
from fungrad.primitives.contraction import contract, fresh_label, parse_spec, product_of
from fungrad.primitives.structural import flip, zeros

Window = tuple[int, int, int, int, int]
"""(stride, low, high, spread, dilation) of one spatial label."""
Array = np.ndarray[Any, Any]
Sizes = dict[str, int]

PIECE = 1 << 17
"""Elements of windows that are copied at a time."""


_rooms = threading.local()
KEPT = 1 << 22
"""Bytes up to which a room is kept."""


def _room(name: str, shape: Sequence[int], dtype: np.dtype[Any]) -> Array:
    """An array in memory that is kept for this thread: new pages for each call would cost more than the copying."""
    size = math.prod(shape) * dtype.itemsize
    if size > KEPT:
        return np.empty(shape, dtype)
    room: Array | None = getattr(_rooms, name, None)
    if room is None or room.size < size:
        room = np.empty(max(size, 1 << 16), np.uint8)
        setattr(_rooms, name, room)
    return room[:size].view(dtype).reshape(shape)


def spread_size(n: int, spread: int) -> int:
    """The size of n elements with ``spread - 1`` others between any two of them."""
    return (n - 1) * spread + 1 if n else 0


def window_count(n: int, k: int, window: Window) -> int:
    """How many windows of k elements there are along an axis of n elements; negative for none by far."""
    stride, low, high, spread, dilation = window
    room = spread_size(n, spread) + low + high - spread_size(k, dilation)
    return room // stride + 1 if room >= 0 else 0


# The implementation


def _sizes(labels: str, shape: Shape) -> Sizes:
    return dict(zip(labels, shape, strict=True))


@lru_cache(maxsize=1024)
def _inner_labels(spec: str, spatial: str) -> tuple[str, str, str, dict[str, str]]:
    """The labels of the windows of x, of y, of the result, and for each spatial label that of the place in a window."""
    a, b, result = parse_spec(spec)
    places: dict[str, str] = {}
    used = a + b + result
    for s in spatial:
        places[s] = fresh_label(used)
        used += places[s]
    return (
        "".join([n + places.get(n, "") for n in a]),
        "".join([places.get(n, n) for n in b]),
        result,
        places,
    )


def _conv(x: Any, y: Any, out: Any = None, *, spec: str, spatial: str, windows: tuple[Window, ...]) -> Any:
    a, b, result = parse_spec(spec)
    of_x, of_y = _sizes(a, x.shape), _sizes(b, y.shape)
    counts = {s: window_count(of_x[s], of_y[s], w) for s, w in zip(spatial, windows, strict=True)}
    shape = tuple([counts[n] if n in counts else of_x[n] if n in of_x else of_y[n] for n in result])
    dtype = x.dtype
    if not (x.size and y.size and math.prod(shape)):
        if out is None:
            return np.zeros(shape, dtype)
        out[...] = 0
        return out
    if dtype == np.float16:  # summed in single precision, as XLA does
        found = _conv(x.astype("f"), y.astype("f"), spec=spec, spatial=spatial, windows=windows).astype(dtype)
    elif any(w[3] > 1 for w in windows):
        found = _of_spread(x, y, out, shape, spec, spatial, windows, counts)
    else:
        found = _of_windows(_windows_of(x, a, spatial, windows, of_y, counts), y, out, shape, spec, spatial)
    if out is not None and found is not out:
        out[...] = found
        return out
    return found


def _padded(x: Array, labels: str, spatial: str, windows: Sequence[Window]) -> Array:
    """x~, with the zeros around it."""
    shape, target, source = list(x.shape), [slice(None)] * x.ndim, [slice(None)] * x.ndim
    for s, (_, low, high, spread, _) in zip(spatial, windows, strict=True):
        k = labels.index(s)
        n = x.shape[k]
        shape[k] = spread_size(n, spread) + low + high
        first = max(-(low // spread), 0)  # the first element that is not cut off
        last = min((shape[k] - 1 - low) // spread, n - 1)
        source[k] = slice(first, max(last + 1, first))
        start = first * spread + low
        target[k] = slice(start, start + max(last + 1 - first, 0) * spread, spread)
    if all(low == high == 0 and spread == 1 for _, low, high, spread, _ in windows):
        return x
    if all(low <= 0 and high <= 0 and spread == 1 for _, low, high, spread, _ in windows):
        return x[tuple(source)]
    out = _room("padded", shape, x.dtype)
    out.fill(0)
    out[tuple(target)] = x[tuple(source)]
    return out


def _windows_of(x: Array, labels: str, spatial: str, windows: Sequence[Window], of_y: Sizes, counts: Sizes) -> Array:
    """The view with an axis for the place in the window behind each spatial axis."""
    x = _padded(x, labels, spatial, windows)
    shape: list[int] = []
    strides: list[int] = []
    of_label = dict(zip(spatial, windows, strict=True))
    for label, n, step in zip(labels, x.shape, x.strides, strict=True):
        if label in of_label:
            stride, _, _, _, dilation = of_label[label]
            shape += (counts[label], of_y[label])
            strides += (step * stride, step * dilation)
        else:
            shape.append(n)
            strides.append(step)
    return as_strided(x, shape, strides, writeable=False)


def _of_windows(v: Array, y: Array, out: Any, shape: Shape, spec: str, spatial: str) -> Any:
    """Contract the windows with y."""
    a, b, result, places = _inner_labels(spec, spatial)
    sizes = _sizes(a, v.shape) | _sizes(b, y.shape)
    if all(sizes[p] == 1 for p in places.values()) or not _is_worth_copying(a, b, result, sizes, places):
        return _by_places(v, y, out, shape, a, b, result, places, sizes)
    pieces = -(-v.size // PIECE)
    cut = _where_to_cut(a, result, places, sizes, pieces) if pieces > 1 else None
    if cut is None:
        return _product_of_windows(v, y, out, a, b, result, places)
    step = max(1, -(-sizes[cut] // pieces))
    ranges = [slice(i, min(i + step, sizes[cut])) for i in range(0, sizes[cut], step)]

    def part(z: Array, labels: str, piece: slice) -> Array:
        return z[(slice(None),) * labels.index(cut) + (piece,)] if cut in labels else z

    if cut in result:
        out = np.empty(shape, v.dtype) if out is None else out
        for piece in ranges:
            _product_of_windows(part(v, a, piece), part(y, b, piece), part(out, result, piece), a, b, result, places)
        return out
    total = _product_of_windows(part(v, a, ranges[0]), part(y, b, ranges[0]), out, a, b, result, places)
    for piece in ranges[1:]:
        total += _product_of_windows(part(v, a, piece), part(y, b, piece), None, a, b, result, places)
    return total


def _where_to_cut(a: str, result: str, places: dict[str, str], sizes: Sizes, pieces: int) -> str | None:
    """The label along which to compute in pieces: an early one, as the last ones are copied in long runs."""
    total = math.prod([sizes[n] for n in result])
    copied = math.prod([sizes[n] for n in a])
    allowed = [
        n
        for n in a
        if n not in places.values() and sizes[n] > 1 and (n in result or total * min(pieces, sizes[n]) <= copied)
    ]
    return next((n for n in allowed if sizes[n] >= min(pieces, 8)), allowed[0] if allowed else None)


def _is_worth_copying(a: str, b: str, result: str, sizes: Sizes, places: dict[str, str]) -> bool:
    """Whether the product is one of matrices, not of numbers (as in depthwise convolutions)."""
    summed = math.prod([sizes[n] for n in b if n in a and n not in result])
    in_place = math.prod([sizes[p] for p in places.values() if p in b])
    right = math.prod([sizes[n] for n in b if n not in a])
    batch = math.prod([sizes[n] for n in b if n in a and n in result])
    if batch == 1 or right > 1:
        return True
    return summed != in_place and math.prod([sizes[s] for s in places]) > 64


def _by_places(
    v: Array, y: Array, out: Any, shape: Shape, a: str, b: str, result: str, places: dict[str, str], sizes: Sizes
) -> Any:
    """The sum over the places in a window of products with a view; or, if these are many, result by result."""
    over = list(places.values())
    if math.prod([sizes[s] for s in places]) < math.prod([sizes[p] for p in over]):
        over = list(places)
    positions = list(itertools.product(*[range(sizes[n]) for n in over]))

    def rest(labels: str) -> str:
        return "".join([n for n in labels if n not in over])

    def at(z: Array, labels: str, position: tuple[int, ...]) -> Array:
        where = dict(zip(over, position, strict=True))
        return z[tuple([where.get(n, slice(None)) for n in labels])]

    # A place label is summed, a spatial label is one of the result. The others sum over what is left.
    spec = f"{rest(a)},{rest(b)}->{rest(result)}"
    multiply = product_of(spec)
    if over == list(places):
        out = np.empty(shape, v.dtype) if out is None else out
        for position in positions:
            at(out, result, position)[...] = multiply(at(v, a, position), y)
        return out
    if len(positions) == 1:
        return multiply(at(v, a, positions[0]), at(y, b, positions[0]), out)
    out = np.empty(shape, v.dtype) if out is None else out
    term = np.empty(shape, v.dtype)
    multiply(at(v, a, positions[0]), at(y, b, positions[0]), out)
    for position in positions[1:]:
        multiply(at(v, a, position), at(y, b, position), term)
        np.add(out, term, out)
    return out


def _product_of_windows(v: Array, y: Array, out: Any, a: str, b: str, result: str, places: dict[str, str]) -> Any:
    """One product of (a stack of) matrices, one of them the copied windows."""
    batch = [n for n in a if n in b and n in result]
    left = [n for n in a if n not in b]
    summed = [n for n in a if n in b and n not in result]
    right = [n for n in b if n not in a]
    steps = {n: (abs(s), -m) for n, m, s in zip(a, v.shape, v.strides, strict=True) if m > 1}
    fastest = min(steps, key=lambda n: steps[n]) if steps else a[-1]
    if fastest in left:
        lead: list[str] = []
        while left and left[0] not in places and left[0] not in places.values() and left[0] == _first(a, batch, lead):
            lead.append(left.pop(0))
        # (batch, lead, right, sum) @ (batch, lead, sum, left)
        columns = _copied(v, a, batch + lead, summed, left)
        kernel = _merged(y, b, batch, right, summed)
        if lead:
            kernel = kernel.reshape(kernel.shape[:-2] + (1,) * len(lead) + kernel.shape[-2:])
        order = batch + lead + right + left
        x1, x2 = kernel, columns
    else:
        # (batch, left, sum) @ (batch, sum, right)
        x1, x2 = _copied(v, a, batch, left, summed), _merged(y, b, batch, summed, right)
        order = batch + left + right
    sizes = _sizes(a, v.shape) | _sizes(b, y.shape)
    split = [sizes[n] for n in order]
    if out is not None and "".join(order) == result and out.flags.c_contiguous:
        np.matmul(x1, x2, out.reshape((*np.broadcast_shapes(x1.shape[:-2], x2.shape[:-2]), x1.shape[-2], x2.shape[-1])))
        return out
    found = np.matmul(x1, x2).reshape(split).transpose([order.index(n) for n in result])
    if out is None:
        return found
    out[...] = found
    return out


def _first(a: str, *without: Sequence[str]) -> str:
    """The first label that is in none of these."""
    return next(n for n in a if all(n not in w for w in without))


def _copied(v: Array, labels: str, head: Sequence[str], rows: Sequence[str], columns: Sequence[str]) -> Array:
    """The same of the windows, in a room of this thread: what is returned is used before the next call."""
    turned = v.transpose([labels.index(n) for n in (*head, *rows, *columns)])
    room = _room("windows", turned.shape, v.dtype)
    np.copyto(room, turned)
    return _merged(room, "".join([*head, *rows, *columns]), head, rows, columns)


def _merged(z: Array, labels: str, head: Sequence[str], rows: Sequence[str], columns: Sequence[str]) -> Array:
    """A stack of matrices with the labels of each kind merged."""
    order = [*head, *rows, *columns]
    sizes = _sizes(labels, z.shape)
    shape = [sizes[n] for n in head]
    return z.transpose([labels.index(n) for n in order]).reshape(
        (*shape, math.prod([sizes[n] for n in rows]), math.prod([sizes[n] for n in columns]))
    )


# x spread


def _of_spread(
    x: Array, y: Array, out: Any, shape: Shape, spec: str, spatial: str, windows: tuple[Window, ...], counts: Sizes
) -> Any:
    a, b, result = parse_spec(spec)
    of_x, of_y = _sizes(a, x.shape), _sizes(b, y.shape)
    taps = {
        "scatter": math.prod([of_x[s] * of_y[s] for s in spatial]),
        "fill": math.prod([counts[s] * of_y[s] for s in spatial]),
        "swap": math.prod([counts[s] * of_x[s] for s in spatial]),
    }
    if any(w[0] > 1 for w in windows) or math.prod([of_y[s] for s in spatial]) > 256:
        del taps["scatter"]
    if any(w[4] > 1 for w in windows):
        del taps["swap"]
    way = min(taps, key=lambda w: taps[w])
    if way == "scatter":
        return _scattered(x, y, out, shape, spec, spatial, windows, counts)
    if way == "fill":
        x = _padded(x, a, spatial, windows)
        dense = tuple([(stride, 0, 0, 1, dilation) for stride, _, _, _, dilation in windows])
        return _conv(x, y, out, spec=spec, spatial=spatial, windows=dense)
    swapped = []
    for s, (stride, low, _, spread, _) in zip(spatial, windows, strict=True):
        first = (counts[s] - 1) * stride - low
        last = (counts[s] - 1) * stride + spread_size(of_x[s], spread) - of_y[s] - first
        swapped.append((stride, first, last, 1, spread))
    found = _conv(y, x, spec=f"{b},{a}->{result}", spatial=spatial, windows=tuple(swapped))
    return np.flip(found, tuple([result.index(s) for s in spatial]))


def _scattered(
    x: Array, y: Array, out: Any, shape: Shape, spec: str, spatial: str, windows: Sequence[Window], counts: Sizes
) -> Any:
    """Add x times one element of the kernel to where it belongs, for each element of the kernel."""
    a, b, result = parse_spec(spec)
    of_x, of_y = _sizes(a, x.shape), _sizes(b, y.shape)
    rest = "".join([n for n in b if n not in spatial])
    multiply = product_of(f"{a},{rest}->{result}")
    if out is None:
        out = np.zeros(shape, x.dtype)
    else:
        out[...] = 0
    for place in itertools.product(*[range(of_y[s]) for s in spatial]):
        source, target = [slice(None)] * len(a), [slice(None)] * len(result)
        for s, k, (_, low, _, spread, dilation) in zip(spatial, place, windows, strict=True):
            start = low - k * dilation  # element s of x belongs to start + s spread
            first = max(-(start // spread), 0)
            last = min((counts[s] - 1 - start) // spread, of_x[s] - 1)
            source[a.index(s)] = slice(first, max(last + 1, first))
            begin = start + first * spread
            target[result.index(s)] = slice(begin, begin + max(last + 1 - first, 0) * spread, spread)
        where = dict(zip(spatial, place, strict=True))
        part = x[tuple(source)]
        if part.size:
            out[tuple(target)] += multiply(part, y[tuple([where.get(n, slice(None)) for n in b])])
    return out


# The primitive


def _abstract(x: ShapedArray, y: ShapedArray, *, spec: str, spatial: str, windows: tuple[Window, ...]) -> ShapedArray:
    a, b, result = parse_spec(spec)
    of_x, of_y = _sizes(a, x.shape), _sizes(b, y.shape)
    for n in of_x.keys() & of_y.keys() - set(spatial):
        if of_x[n] != of_y[n]:
            raise ValueError(f"conv: label {n!r} of {spec!r} has sizes {of_x[n]} and {of_y[n]}")
    sizes = of_y | of_x
    for s, w in zip(spatial, windows, strict=True):
        sizes[s] = window_count(of_x[s], of_y[s], w)
    return ShapedArray(tuple([sizes[n] for n in result]), x.dtype)


def _transpose_x(ct: Any, x: ShapedArray, y: Any, *, spec: str, spatial: str, windows: tuple[Window, ...]) -> Any:
    if not typeof(ct).size:  # no window fits
        return zeros(x)
    a, b, result = parse_spec(spec)
    of_x, of_y, of_ct = _sizes(a, x.shape), _sizes(b, typeof(y).shape), _sizes(result, typeof(ct).shape)
    back = []
    for s, (stride, low, _, spread, dilation) in zip(spatial, windows, strict=True):
        reach = (of_y[s] - 1) * dilation
        first = reach - low
        last = (of_x[s] - 1) * spread + reach + 1 - first - spread_size(of_ct[s], stride)
        back.append((spread, first, last, stride, dilation))
    flipped = flip(y, tuple(sorted([b.index(s) for s, w in zip(spatial, windows, strict=True) if of_y[s] > 1])))
    return conv(ct, flipped, f"{result},{b}->{a}", spatial, tuple(back))


def _transpose_y(ct: Any, x: Any, y: ShapedArray, *, spec: str, spatial: str, windows: tuple[Window, ...]) -> Any:
    if not typeof(ct).size:
        return zeros(y)
    a, b, result = parse_spec(spec)
    of_x, of_y, of_ct = _sizes(a, typeof(x).shape), _sizes(b, y.shape), _sizes(result, typeof(ct).shape)
    back = []
    for s, (stride, low, _, spread, dilation) in zip(spatial, windows, strict=True):
        last = (of_y[s] - 1) * dilation + (of_ct[s] - 1) * stride + 1 - low - spread_size(of_x[s], spread)
        back.append((dilation, low, last, spread, stride))
    return conv(x, ct, f"{a},{result}->{b}", spatial, tuple(back))


def _batch(
    axis: Any, batched: Sequence[bool], x: Any, y: Any, *, spec: str, spatial: str, windows: tuple[Window, ...]
) -> Any:
    a, b, result = parse_spec(spec)
    label = fresh_label(a + b)
    in_x, in_y = label if batched[0] else "", label if batched[1] else ""
    return conv(x, y, f"{in_x}{a},{in_y}{b}->{label}{result}", spatial, windows)


def _text(e: Emission, out: str | None, x: str, y: str, *, spec: str, spatial: str, windows: tuple[Window, ...]) -> str:
    into = "None" if out is None else out
    return f"{e.const(_conv, 'conv')}({x}, {y}, {into}, spec={spec!r}, spatial={spatial!r}, windows={windows})"


def _rows(x: ShapedArray, y: ShapedArray, *, spec: str, spatial: str, windows: tuple[Window, ...]) -> Ways:
    """Rows of x, or of both; where they are summed the sums of the blocks are added."""
    a, b, result = parse_spec(spec)
    row = a[:1]
    if not row or row in spatial or (row in b and b[0] != row) or (row in result and result[0] != row):
        return ()
    return (((True, row in b), ROWS if row in result else np.add),)


def _temporary(x: ShapedArray, y: ShapedArray, *, spec: str, spatial: str, windows: tuple[Window, ...]) -> int:
    a, b, _ = parse_spec(spec)
    of_x, of_y = _sizes(a, x.shape), _sizes(b, y.shape)
    copied = math.prod([n for label, n in of_x.items() if label not in spatial])
    for s, w in zip(spatial, windows, strict=True):
        copied *= window_count(of_x[s], of_y[s], w) * of_y[s]
    return (min(copied, PIECE) + x.size) * x.dtype.itemsize


conv_p = Multilinear(
    "conv",
    _conv,
    abstract=_abstract,
    transposes=(_transpose_x, _transpose_y),
    batch=_batch,
    lowering=Lowering(_text, NEW, into=True, rows=_rows, cost=8.0, temporary=_temporary),
)


def conv(x: Any, y: Any, spec: str, spatial: str, windows: tuple[Window, ...]) -> Any:
    """Convolve two arrays of one dtype; see the module."""
    return conv_p.bind(x, y, spec=spec, spatial=spatial, windows=windows) if spatial else contract(x, y, spec)
