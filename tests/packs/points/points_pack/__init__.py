"""A pack that brings a kind of value and the medium that shows it."""
