"""The workloads: what is computed, on which data, in ordinary NumPy code, and the same gradients written by hand."""

from . import (
    eager,
    elementwise,
    geometry,
    learning,
    likelihoods,
    mixtures,
    networks,
    numerics,
    physics,
    scalars,
    sequences,
)

FAMILIES = (scalars, elementwise, networks, mixtures, sequences, likelihoods, geometry)
GROUPS = {
    "jit": [workload for family in FAMILIES for workload in family.WORKLOADS],
    "more": [workload for family in (learning, physics, numerics) for workload in family.WORKLOADS],
    "eager": eager.WORKLOADS,
}
# To plot time against size: what the size counts, a workload of a size, and the sizes.
SCALING = {
    "elementwise chain": ("elements", elementwise.elementwise_of, (100, 1000, 10_000, 100_000, 1_000_000)),
    "diagonal mixture, 10 x 2": ("points", mixtures.diagonal_mixture_of, (10, 100, 1000, 10_000, 100_000)),
    "perceptron, 100 wide, 3 layers": ("rows", networks.perceptron_of, (1, 10, 100, 1000, 10_000)),
}
