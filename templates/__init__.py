"""Jinja2 templates and other data that comes with Takeboard."""
