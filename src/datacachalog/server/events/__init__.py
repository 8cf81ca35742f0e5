"""What has happened, and who follows it."""
