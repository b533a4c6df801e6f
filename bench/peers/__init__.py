"""The benchmark mappings for others: hand-written Python, python-liquid, jsonata-python and fpml."""
