"""Tables, their snapshots and tags, and the locations of their objects."""
