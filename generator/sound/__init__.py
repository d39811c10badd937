"""Sound that no model made: dialogue, foley and ambience, music."""
