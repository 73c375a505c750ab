"""Container images as OCI archives, cached by content: ``python3 -m hack.images``."""
