"""Tables for the libraries that people query with; each is imported when it is asked for."""
