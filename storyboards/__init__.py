"""The storyboard language: what a person writes, checked and resolved to frames."""
