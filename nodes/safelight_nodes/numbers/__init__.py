"""Numbers: formulas, ranges, chance, sizes."""
