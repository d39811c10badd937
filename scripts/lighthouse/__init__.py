"""The drawing desk of the example film: ink, figures and plates, all made by code."""
