"""Faults made on purpose, each where and when the test says; see `catalogue.py` for the list."""
