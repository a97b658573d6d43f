"""What the examples share: a check that ends the script when a claim fails, and the handwritten digits."""

import gzip
from pathlib import Path

import numpy as np

DIGITS = Path(__file__).parent / "data" / "digits.csv.gz"


def check(claim, holds):
    """Print the claim, or end the script with an error if it does not hold."""
    if not holds:
        raise SystemExit(f"  FAILED: {claim}")
    print(f"  [ok] {claim}")


def load_digits(held_out=360, seed=0):
    """Read 1797 digits, shuffle them, and split off a part to test on.

    Returns ``(X, y), (X_test, y_test)``: images as rows of 64 pixels from 0 to 1, and their classes 0-9.
    """
    with gzip.open(DIGITS, "rt") as file:
        table = np.loadtxt(file, delimiter=",")
    table = np.random.default_rng(seed).permutation(table)
    images, classes = table[:, :64] / 16.0, table[:, 64].astype(int)
    return (images[held_out:], classes[held_out:]), (images[:held_out], classes[:held_out])
