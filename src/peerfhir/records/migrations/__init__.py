"""How the tables came to be: one linear history of numbered steps."""
