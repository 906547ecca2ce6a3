"""One of two packs whose values have one name."""
