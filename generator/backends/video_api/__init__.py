"""Talking to servers that make films at `/v1/videos`: what they serve, say, and owe us."""
