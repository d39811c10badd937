"""How takes are brought to a finished film's rate and size: one module for each way."""
