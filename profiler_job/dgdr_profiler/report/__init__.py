"""What a finished run shows: curves as pictures, and every figure as JSON."""
