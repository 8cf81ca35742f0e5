"""Uploads and reads of objects through the server."""
