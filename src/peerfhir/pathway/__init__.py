"""Peer support itself: its people, its steps and its rules, in the standard library alone."""
