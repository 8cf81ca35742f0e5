"""Runs, and what they read and wrote."""
