"""Measures a model by what its images show. See `training/README.md`."""
