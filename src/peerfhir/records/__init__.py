"""What is kept: one database, one transaction for everything that belongs together."""
