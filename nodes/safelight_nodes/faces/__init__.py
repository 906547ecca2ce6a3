"""Faces: found, cut out upright, mended and put back."""
