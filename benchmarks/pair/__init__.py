"""A pair of anybody's own, timed: each side's gradient and NUTS, once a check has called the two the same."""
