"""What the backend `minimax_h3` is made of."""
