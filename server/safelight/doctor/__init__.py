"""`safelight doctor`: looks at an installation, and tells what is wrong in words that may be shown to others."""
