"""Reading: texts out of images and texts, and embeddings of both."""
