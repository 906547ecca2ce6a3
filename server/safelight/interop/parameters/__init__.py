"""Settings that other programs write into their images, and the graph that makes such an image."""
