"""What jobs use: the client of a registry, runs with lineage, results instead of exceptions."""
