"""numpy.linalg for traced arrays, under its names and arguments."""

from fungrad.numpy.linalg import decompositions, norms, products, spectra, systems

__all__ = ["decompositions", "norms", "products", "spectra", "systems"]
