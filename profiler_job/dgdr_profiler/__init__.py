"""The profiling Job: finds and measures the engines that a request may be served by."""
