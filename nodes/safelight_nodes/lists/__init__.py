"""Lists: making them, choosing from them, their order, and what they hold."""
