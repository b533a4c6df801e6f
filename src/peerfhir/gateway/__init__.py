"""The doors: what arrives over HTTP, and what is answered."""
