"""A triangular matrix filled entry by entry: Cholesky factors, read from a vector and computed from a matrix.

1. A covariance C = L L' is parameterised by a vector of n (n + 1) / 2 numbers, with L[i, i] = exp(theta) so that every
   vector gives a positive definite matrix. Then log det C = 2 sum of the diagonal's theta, and the Gaussian likelihood
   is maximal where C is the covariance of the sample: the gradient knows.
2. Cholesky-Crout computes L from C, column by column, in place. For A = A' the derivative of log det A is the inverse
   of A; see K. B. Petersen and M. S. Pedersen, The Matrix Cookbook, 2012, eq. 57.
"""

import numpy as np
from _common import check

import fungrad as fg

N = 6


def factor(theta):
    """The lower triangle with the numbers of theta, row by row, and positive numbers on the diagonal."""
    L = np.zeros_like(theta, shape=(N, N))
    k = 0
    for i in range(N):
        for j in range(i):
            L[i, j] = theta[k]
            k += 1
        L[i, i] = np.exp(theta[k])
        k += 1
    return L


def cholesky_crout(A):
    """The lower triangular L with L L' = A, column by column; the upper triangle of A is not read."""
    L = np.zeros_like(A)
    for j in range(N):
        for i in range(j, N):
            rest = A[i, j]
            for k in range(j):
                rest = rest - L[i, k] * L[j, k]
            L[i, j] = np.sqrt(rest) if i == j else rest / L[j, j]
    return L


def log_determinant(L):
    """Of L L'."""
    return 2.0 * np.sum(np.log(np.diagonal(L)))


def negative_log_likelihood(theta, moments):
    """Of a sample with these second moments under a normal distribution with covariance L L', per observation."""
    L = factor(theta)
    return 0.5 * (log_determinant(L) + np.trace(np.linalg.solve(L @ L.T, moments)))


rng = np.random.default_rng(0)
theta = 0.3 * rng.standard_normal(N * (N + 1) // 2)
diagonal = np.array([i * (i + 3) // 2 for i in range(N)])  # where the diagonal stands in theta
sample = rng.standard_normal((500, N)) @ rng.standard_normal((N, N))
moments = sample.T @ sample / len(sample)

print("1. a factor parameterised by a vector")
gradient = fg.grad(lambda theta: log_determinant(factor(theta)))(theta)
closed = np.zeros_like(theta)
closed[diagonal] = 2.0
check(
    "the gradient of log det C is 2 on the diagonal's parameters, 0 elsewhere",
    np.allclose(gradient, closed, atol=1e-15),
)
L = np.linalg.cholesky(moments)
best = np.array([np.log(L[i, j]) if i == j else L[i, j] for i in range(N) for j in range(i + 1)])
slope = fg.grad(negative_log_likelihood)
check("the likelihood is stationary at the sample's covariance", np.max(np.abs(slope(best, moments))) < 1e-12)
check("and not elsewhere", np.max(np.abs(slope(theta, moments))) > 0.1)
hessian = fg.hessian(negative_log_likelihood)(best, moments)
eigenvalues = np.linalg.eigvalsh(hessian)
check(f"a maximum: the Hessian's eigenvalues are {eigenvalues[0]:.3f} to {eigenvalues[-1]:.1f}", eigenvalues[0] > 0)
print("\n  step    |gradient|")
guess = best + 0.05 * rng.standard_normal(best.size)
for step in range(8):
    g = slope(guess, moments)
    print(f"  {step:4d}    {np.linalg.norm(g):.3e}")
    guess = guess - np.linalg.solve(fg.hessian(negative_log_likelihood)(guess, moments), g)
check("Newton's method comes back to it", np.allclose(guess, best, atol=1e-9))

print("\n2. Cholesky-Crout")
A = moments + np.eye(N)
check("the loops compute numpy.linalg.cholesky", np.allclose(cholesky_crout(A), np.linalg.cholesky(A), rtol=1e-13))


def symmetric(f):
    """The gradient of a function that reads the lower triangle, spread over both."""

    def spread(A):
        g = fg.grad(f)(A)
        return 0.5 * (g + g.T)

    return spread


def by_loops(A):
    """Log det A through the loops."""
    return log_determinant(cholesky_crout(A))


inverse = np.linalg.inv(A)
error = np.max(np.abs(symmetric(by_loops)(A) - inverse)) / np.max(np.abs(inverse))
check(f"the gradient of log det A is the inverse of A: relative error {error:.0e}", error < 1e-12)
V = rng.standard_normal((N, N))
V = V + V.T
_, change = fg.jvp(by_loops, (A,), (V,))
check("forward mode gives trace(A^-1 V)", np.isclose(change, np.trace(inverse @ V), rtol=1e-12))
_, second = fg.jvp(symmetric(by_loops), (A,), (V,))
check(
    "the derivative of the inverse is -A^-1 V A^-1", np.allclose(second, -inverse @ V @ inverse, rtol=1e-10, atol=1e-13)
)
matrices = np.stack([A, 2.0 * A, A + np.diag(np.arange(N))])
check(
    "a batch of matrices by vmap: the inverse of each",
    np.allclose(fg.vmap(symmetric(by_loops))(matrices), np.linalg.inv(matrices), rtol=1e-11, atol=1e-14),
)
L_dot = fg.jvp(cholesky_crout, (A,), (V,))[1]
check(
    "L' L + L L' = V for the tangent of the factor",
    np.allclose(L_dot @ cholesky_crout(A).T + cholesky_crout(A) @ L_dot.T, V),
)
