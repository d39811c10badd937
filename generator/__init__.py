"""From a checked storyboard to takes: plan, hash, render, store, pick."""
