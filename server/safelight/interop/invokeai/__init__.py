"""Workflows of InvokeAI."""
