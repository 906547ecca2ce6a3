"""Bodies and answers of the API that are not records of the host, by room. See docs/api.md."""
