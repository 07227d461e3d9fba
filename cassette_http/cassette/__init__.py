"""What is recorded, and the file it is kept in."""
