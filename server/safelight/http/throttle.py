"""Token buckets by client address."""

from __future__ import annotations

import time

_CLIENTS = 10_000


class Throttle:
    """Allows `burst` requests at once and `per_second` on average, for each key by itself."""

    def __init__(self, burst: float, per_second: float) -> None:
        self._burst = burst
        self._rate = per_second
        self._left: dict[str, tuple[float, float]] = {}

    def take(self, key: str, cost: float = 1.0) -> float:
        """0 when the request may go on, else the seconds to wait."""
        now = time.monotonic()
        left, at = self._left.get(key, (self._burst, now))
        left = min(self._burst, left + (now - at) * self._rate)
        if left < cost:
            self._left[key] = left, now
            return max(0.1, (cost - left) / self._rate)
        if len(self._left) > _CLIENTS:
            self._left.clear()
        self._left[key] = left - cost, now
        return 0.0
