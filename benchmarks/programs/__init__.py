"""What is run in the measured processes: one small program for each library."""
