"""Answers to the API server's reviews: values in, values out."""
