"""A mapping in the forms that other people's tools read, and code maps from theirs."""
