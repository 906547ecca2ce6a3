"""Benchmarks: `python -m benchmarks` prints the table. Ratios are taken side by side in one run."""
