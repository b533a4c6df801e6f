"""Peer-support words to FHIR R4 and back, through mappings."""
