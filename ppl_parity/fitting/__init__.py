"""Fits of the mixture: where chains start, what precision can hold, NUTS, and what the draws say of each row."""
