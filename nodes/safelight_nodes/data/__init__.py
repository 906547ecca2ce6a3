"""Data: JSON, tables, files of the input folder, and facts of a run."""
