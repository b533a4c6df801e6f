"""The mapping language: YAML shaped like the resource it makes."""
