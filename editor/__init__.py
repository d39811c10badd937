"""From takes to the film: timeline, conform, join, mix, captions, deliverables."""
