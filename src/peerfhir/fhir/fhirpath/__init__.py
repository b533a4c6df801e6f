"""FHIRPath N1: read, typed and compiled to Python; what it cannot do is refused when it is loaded."""
