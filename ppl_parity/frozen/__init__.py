"""One side of a pair as a file, which stands in for its process."""
