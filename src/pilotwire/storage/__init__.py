"""The journal of facts, its projections, and the meter samples."""
