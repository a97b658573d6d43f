"""What users of SciPy need of it on traced arrays: ``fungrad.scipy.special``, which works without SciPy."""
