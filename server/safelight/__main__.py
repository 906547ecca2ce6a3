"""`python -m safelight` is the `safelight` command."""

from safelight.cli import entry

entry()
