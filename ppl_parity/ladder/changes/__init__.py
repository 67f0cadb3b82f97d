"""One side computes what the other draws: a change of variables holds the two to each other exactly."""
