"""What the backend `wan` is made of."""
