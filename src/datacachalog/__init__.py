"""datacachalog."""
