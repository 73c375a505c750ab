"""Conversion and admission: what the API server asks before it stores or shows an object."""
