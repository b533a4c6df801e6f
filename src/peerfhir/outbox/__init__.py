"""Everything owed to a hospital, until it is known to have arrived."""
