"""FHIR itself: what any server or client would need, and nothing of peer support."""
