"""Workers on the machines of a Ray cluster. Only `bridge` imports Ray, in a process of its own."""

from .demands import STORE_BYTES, demand_ray, demand_token, knows_token
from .ray_pool import ClusterOptions, RayPool

__all__ = ["STORE_BYTES", "ClusterOptions", "RayPool", "demand_ray", "demand_token", "knows_token"]
