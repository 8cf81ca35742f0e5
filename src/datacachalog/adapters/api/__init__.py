"""Registries: over HTTP, through a cache of what never changes, and in memory."""
