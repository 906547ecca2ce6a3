"""Model families: one object in one folder each."""
