"""Generators whose weights others have published, under the names that their files have."""
