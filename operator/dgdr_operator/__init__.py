"""The operator: the life of a DGDR, and workloads for a DGD where nobody else makes them."""
