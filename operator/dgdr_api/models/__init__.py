"""Models of every kind, one module each; the CRDs are generated from them."""
