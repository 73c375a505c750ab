"""Decisions and renderings: values in, values out."""
