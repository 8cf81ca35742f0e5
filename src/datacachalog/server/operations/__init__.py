"""What whoever runs the server sees of it."""
