"""The built-in node pack. One family a file; imports `safelight.sdk` and nothing else of safelight."""
