"""The outside world behind the ports: stores, the cache on disk, progress on a terminal."""
