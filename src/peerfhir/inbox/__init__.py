"""Everything received, kept before it is answered."""
