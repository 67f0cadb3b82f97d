"""What the sampling rungs share: draws, when they may be judged, and how."""
