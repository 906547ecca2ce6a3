"""Measures a model by what its pictures show. See `training/README.md`."""
