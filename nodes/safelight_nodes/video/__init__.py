"""Videos: files, frames, cutting, and films that are worked on part by part."""
