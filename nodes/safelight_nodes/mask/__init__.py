"""Masks: made from images and shapes, changed, put together, and used to paint a part again."""
