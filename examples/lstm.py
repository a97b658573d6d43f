"""A language model of characters: an LSTM reads a book, one `lax.scan` per batch of sequences, and writes like it.

    i, f, o = sigmoid(...), three gates;  g = tanh(...);  each of x W[x] + h U + b
    c = f c + i g,   h = o tanh(c);       the next character is softmax(h V + d)        (Hochreiter, Schmidhuber 1997)

The text (the first chapters of *Alice's Adventures in Wonderland*) is cut into streams that are read side by side, a
window at a time. The state is carried on from window to window, its derivative is not: truncated backpropagation.
"""

import textwrap
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
from _common import check

import fungrad as fg
from fungrad.scipy.special import logsumexp

STREAMS, WINDOW, HIDDEN, EPOCHS, RATE = 32, 50, 64, 32, 1e-2
TEXT = (Path(__file__).parent / "data" / "alice.txt").read_text(encoding="utf-8")


def initialise(rng, characters):
    """Weights; the forget gates begin open (Jozefowicz, Zaremba and Sutskever 2015)."""
    bias = np.zeros(4 * HIDDEN)
    bias[HIDDEN : 2 * HIDDEN] = 1.0
    return {
        "input": rng.standard_normal((characters, 4 * HIDDEN)) * 0.1,
        "state": rng.standard_normal((HIDDEN, 4 * HIDDEN)) / np.sqrt(HIDDEN),
        "bias": bias,
        "output": rng.standard_normal((HIDDEN, characters)) / np.sqrt(HIDDEN),
        "offset": np.zeros(characters),
    }


def sigmoid(x):
    return 0.5 + 0.5 * np.tanh(0.5 * x)


def step(params, state, codes):
    """Read a character in each stream: the next state, and the scores of what may follow."""
    h, c = state
    gates = params["input"][codes] + h @ params["state"] + params["bias"]
    i, f, o = (sigmoid(gates[..., k * HIDDEN : (k + 1) * HIDDEN]) for k in range(3))
    c = f * c + i * np.tanh(gates[..., 3 * HIDDEN :])
    h = o * np.tanh(c)
    return (h, c), h @ params["output"] + params["offset"]


def loss(params, state, codes):
    """The mean of -log p of each next character of (window + 1, streams); and the state at the end."""
    state, scores = fg.lax.scan(lambda state, x: step(params, state, x), state, codes[:-1])
    chosen = np.take_along_axis(scores, codes[1:, :, None], axis=-1)[..., 0]
    return np.mean(logsumexp(scores, axis=-1) - chosen), state


def loss_by_python(params, state, codes):
    """The same with a loop in Python."""
    total = 0.0
    for now, following in pairwise(codes):
        state, scores = step(params, state, now)
        total = total + np.mean(logsumexp(scores, axis=-1) - scores[np.arange(len(following)), following])
    return total / (len(codes) - 1), state


@fg.jit
def train(params, moments, state, codes, rate):
    """One step of Adam (Kingma and Ba 2015), the gradient clipped to a norm of 1 (Pascanu et al. 2013)."""
    (value, state), gradient = fg.value_and_grad(loss, has_aux=True)(params, state, codes)
    norm = np.sqrt(sum(np.sum(g * g) for g in fg.tree.leaves(gradient)))
    gradient = fg.tree.map(lambda g: g / np.maximum(norm, 1.0), gradient)
    m = fg.tree.map(lambda m, g: 0.9 * m + 0.1 * g, moments[0], gradient)
    v = fg.tree.map(lambda v, g: 0.99 * v + 0.01 * g * g, moments[1], gradient)
    params = fg.tree.map(lambda p, m, v: p - rate * m / (np.sqrt(v) + 1e-8), params, m, v)
    return value, params, (m, v), state


@fg.jit
def write(params, opening, noise):
    """Read the opening, then go on: each character is drawn by the Gumbel-max trick, and read as the next one."""

    def draw(carry, gumbel):
        state, scores = carry
        code = np.argmax(scores / 0.7 + gumbel)
        return step(params, state, code), code

    state, scores = fg.lax.scan(lambda state, x: step(params, state, x), zero_state(), opening)
    return fg.lax.scan(draw, (state, scores[-1]), noise)[1]


def zero_state(*streams):
    return np.zeros((*streams, HIDDEN)), np.zeros((*streams, HIDDEN))


def frequencies(codes, characters):
    """log p of characters, and of characters after a given one, from counts."""
    single = np.bincount(codes, minlength=characters) + 0.1
    single = single / np.sum(single)
    pairs = np.zeros((characters, characters))
    np.add.at(pairs, (codes[:-1], codes[1:]), 1.0)
    pairs = pairs + single  # a pair that was never seen has the probability of its second character, weighted as one
    return np.log(single), np.log(pairs / np.sum(pairs, axis=1, keepdims=True))


alphabet, codes = np.unique(list(TEXT), return_inverse=True)
cut = int(0.9 * len(codes))
read, unread = codes[:cut], codes[cut:]
length = len(read) // STREAMS
streams = read[: STREAMS * length].reshape(STREAMS, length).T  # (time, stream)
starts = range(0, length - WINDOW, WINDOW)
print(f"{cut} characters to learn from, {len(unread)} held out; {len(alphabet)} different ones, {HIDDEN} hidden units")

params = initialise(np.random.default_rng(0), len(alphabet))
moments = fg.tree.map(np.zeros_like, params), fg.tree.map(np.zeros_like, params)
compiled = fg.jit(fg.value_and_grad(loss, has_aux=True))
by_scan = compiled(params, zero_state(STREAMS), streams[: WINDOW + 1])
by_loop = fg.value_and_grad(loss_by_python, has_aux=True)(params, zero_state(STREAMS), streams[: WINDOW + 1])
pairs = zip(fg.tree.leaves(by_scan), fg.tree.leaves(by_loop), strict=True)
check(
    "the compiled scan has the value, state and gradient of a loop in Python",
    all(np.allclose(a, b, rtol=1e-9, atol=1e-12) for a, b in pairs),
)
equations = [
    len(fg.make_jaxpr(f)(params, zero_state(2), streams[: WINDOW + 1, :2]).eqns) for f in (loss, loss_by_python)
]
check(f"recorded, it is {equations[0]} equations, the loop {equations[1]}", equations[1] > WINDOW * equations[0])

print("\n  step   perplexity   held out   seconds")
held_out = fg.jit(lambda params: np.exp(loss(params, zero_state(1), unread[:, None])[0]))
begin, step_count, last = time.perf_counter(), 0, EPOCHS * len(starts)
for epoch in range(EPOCHS):
    state, values = zero_state(STREAMS), []
    for k in starts:
        rate = RATE * (1 - step_count / last)
        value, params, moments, state = train(params, moments, state, streams[k : k + WINDOW + 1], rate)
        values.append(value)
        step_count += 1
    if epoch + 1 in (1, 2, 4, 8, 16, EPOCHS):
        seconds = time.perf_counter() - begin
        print(f"{step_count:6d}       {np.exp(np.mean(values)):6.2f}     {held_out(params):6.2f}    {seconds:6.1f}")
print()

single, pairs = frequencies(read, len(alphabet))
by_single, by_pairs = np.exp(-np.mean(single[unread])), np.exp(-np.mean(pairs[unread[:-1], unread[1:]]))
reached = held_out(params)
check("the training step was recorded once", train.cache_info().misses == 1)
check(f"perplexity of the unread text: {reached:.2f}, below 6.6", reached < 6.6)
check(f"frequencies of characters have {by_single:.2f}, more than three times as much", by_single > 3 * reached)
check(f"those of pairs {by_pairs:.2f}, more than 1.5 times", by_pairs > 1.5 * reached)

opening = "'I wish I could,' said Alice"
noise = np.random.default_rng(1).gumbel(size=(400, len(alphabet)))
written = "".join(alphabet[write(params, np.searchsorted(alphabet, list(opening)), noise)])
print("\nA sample, of 400 characters:\n")
for paragraph in (opening + written).split("\n"):
    print(textwrap.fill(paragraph, 100))
