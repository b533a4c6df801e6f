"""The steps, each named by four digits."""
