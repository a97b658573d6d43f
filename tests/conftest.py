"""Settings for all tests: hypothesis draws the same examples in every run, and never complains about a slow machine."""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "fungrad",
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.load_profile("fungrad")
