"""What workers do: registrations, and chores."""
