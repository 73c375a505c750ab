"""Commands about planners: what they would do, why they do it, and what else they could do."""
