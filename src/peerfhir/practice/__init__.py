"""A hospital to practise on: another party, with its own store."""
