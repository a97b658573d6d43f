"""The batching rules under the names that they have in `jax.custom_batching`.

>>> from fungrad import custom_batching
>>> custom_batching.sequential_vmap(abs)(-1.0)
1.0
"""

from fungrad.control.custom_vmap import custom_vmap, sequential_vmap

__all__ = ["custom_vmap", "sequential_vmap"]
