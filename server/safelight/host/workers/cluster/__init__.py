"""Workers on the machines of a Ray cluster. Only `bridge` and `start` import Ray, each in a process of its own."""

from .demands import demand_ray, demand_token, knows_token
from .ray_pool import ClusterOptions, RayPool

__all__ = ["ClusterOptions", "RayPool", "demand_ray", "demand_token", "knows_token"]
