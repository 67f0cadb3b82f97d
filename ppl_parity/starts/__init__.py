"""Where the mixture's chains start.

kmeans.py       k-means++ on the data, spread out
search.py       from k-means++ by EM to a mode of the posterior
information.py  the observed information there: how the posterior curves
mode.py         starts around the mode, and the mass matrix that belongs to it
"""

from ppl_parity.starts.kmeans import kmeans_start
from ppl_parity.starts.mode import SHORT_WARMUP, Start, mode_start

__all__ = ["SHORT_WARMUP", "Start", "kmeans_start", "mode_start"]
