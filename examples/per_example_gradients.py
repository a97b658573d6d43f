"""The gradient of every single example, in one call: vmap(grad(loss)).

The mean loss has one gradient; this is about the many that it is the mean of, as needed for clipping them one by one
(differential privacy), for their variance, or to find the examples that pull hardest.
"""

import time

import numpy as np
from _common import check, load_digits

import fungrad as fg

(images, classes), _ = load_digits()
rng = np.random.default_rng(0)
params = {
    "w1": rng.standard_normal((64, 32)) / 8,
    "b1": np.zeros(32),
    "w2": rng.standard_normal((32, 10)) / 6,
    "b2": np.zeros(10),
}


def loss(params, image, target):
    """The cross-entropy of one image (64 pixels) with its class (one-hot)."""
    hidden = np.tanh(image @ params["w1"] + params["b1"])
    scores = hidden @ params["w2"] + params["b2"]
    top = np.max(scores)
    return top + np.log(np.sum(np.exp(scores - top))) - np.sum(scores * target)


def mean_loss(params, images, targets):
    return np.mean(fg.vmap(loss, in_axes=(None, 0, 0))(params, images, targets))


targets = np.eye(10)[classes]
for _ in range(60):  # a little training, so that the examples differ
    params = fg.tree.map(lambda p, g: p - 1.0 * g, params, fg.grad(mean_loss)(params, images, targets))

per_example = fg.vmap(fg.grad(loss), in_axes=(None, 0, 0))
batched = np.inf
for _ in range(3):  # the best of three: the first one also waits for its memory
    start = time.perf_counter()
    together = per_example(params, images, targets)
    batched = min(batched, time.perf_counter() - start)

start = time.perf_counter()
one_by_one = [fg.grad(loss)(params, image, target) for image, target in zip(images, targets, strict=True)]
looped = time.perf_counter() - start

print(f"{len(images)} gradients of {sum(p.size for p in params.values())} parameters:")
print(f"  vmap(grad(loss)) {1e3 * batched:7.1f} ms")
print(f"  a Python loop    {1e3 * looped:7.1f} ms, {looped / batched:.0f} times as long")
same = all(np.allclose(together[k], np.stack([g[k] for g in one_by_one]), rtol=1e-9, atol=1e-12) for k in params)
check("both give the same gradients", same)
whole = fg.grad(mean_loss)(params, images, targets)
check(
    "their mean is the gradient of the mean loss",
    all(np.allclose(together[k].mean(axis=0), whole[k], atol=1e-12) for k in params),
)
check("vmap is at least 3 times as fast as the loop", looped > 3 * batched)

norms = np.sqrt(sum(np.sum(g.reshape(len(images), -1) ** 2, axis=1) for g in together.values()))
hardest = np.argmax(norms)
print(f"gradient norms: median {np.median(norms):.3f}, largest {norms[hardest]:.3f}, for this {classes[hardest]}:")
for row in images[hardest].reshape(8, 8):
    print("   ", "".join(" .:-=+*#%@"[int(9 * pixel)] * 2 for pixel in row))
