"""Strings: parts of texts, patterns, templates, and numbers written out."""
