"""Places that keep whole, immutable revisions of objects."""
