"""How much a key and its tenant may ask for: requests, tokens, and requests at once."""
