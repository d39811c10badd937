"""One file per model or provider; `base` is the contract that they all fill."""
