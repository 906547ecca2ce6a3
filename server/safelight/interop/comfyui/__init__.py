"""ComfyUI's workflows: both kinds of files are read into one graph, which rules translate into a document."""
