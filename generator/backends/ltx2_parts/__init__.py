"""What the backend `ltx2` is made of: recipes, phases on the model, the streaming decoder."""
