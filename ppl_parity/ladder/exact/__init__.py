"""What the exact rungs share: points, comparisons of numbers there, and what may excuse or explain a difference."""
