"""Newton's method with an exact Hessian: logistic regression, even digits against odd ones.

Each step solves H d = -g with the gradient and the 65 x 65 Hessian that fungrad makes from the loss alone. Near the
solution every step squares the error: the number of correct digits doubles.
"""

import time

import numpy as np
from _common import check, load_digits

import fungrad as fg

(images, classes), (test_images, test_classes) = load_digits()


def loss(weights, images, signs, penalty=1e-2):
    """The mean of log(1 + exp(-sign * score)), and an L2 term that makes the minimum unique."""
    scores = images @ weights[:-1] + weights[-1]
    return np.mean(np.logaddexp(0.0, -signs * scores)) + 0.5 * penalty * np.sum(weights**2)


def signs_of(classes):
    """+1 for even digits, -1 for odd ones."""
    return 1.0 - 2.0 * (classes % 2)


gradient, hessian = fg.value_and_grad(loss), fg.hessian(loss)
weights, signs = np.zeros(65), signs_of(classes)
norms, start = [], time.perf_counter()
print("step      loss                 |gradient|")
for step in range(12):
    value, g = gradient(weights, images, signs)
    norms.append(np.linalg.norm(g))
    print(f"{step:4d}      {value:.15f}    {norms[-1]:.3e}")
    if norms[-1] < 1e-14:
        break
    H = hessian(weights, images, signs)
    weights = weights - np.linalg.solve(H, g)
print(f"{1e3 * (time.perf_counter() - start):.0f} ms\n")

check("the Hessian is symmetric", np.allclose(H, H.T, rtol=0, atol=1e-14))
check("and positive definite, so this is the minimum", np.linalg.eigvalsh(H)[0] > 0)
check(f"the gradient is zero to rounding after {step} steps: {norms[-1]:.1e}", norms[-1] < 1e-14)
# |g_next| <= C |g|^2, until rounding ends it: the exponent log(g2/g1) / log(g1/g0) tends to 2.
a, b, c = [n for n in norms if n > 1e-13][-3:]
order = np.log(c / b) / np.log(b / a)
check(f"convergence is quadratic: {a:.1e} -> {b:.1e} -> {c:.1e}, an order of {order:.2f}", 1.7 < order < 2.4)
right = np.mean(np.sign(test_images @ weights[:-1] + weights[-1]) == signs_of(test_classes))
check(f"{100 * right:.1f} % of the held-out digits are told even from odd, at least 85 %", right >= 0.85)
