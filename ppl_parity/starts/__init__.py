"""Where the mixture's chains start.

kmeans.py       k-means++ on the data, spread out
search.py       from k-means++ by EM to a mode of the posterior
information.py  the observed information there: how the posterior curves
masses.py       how much of the posterior a mode holds
mode.py         starts around the modes, and the mass matrix that belongs there
"""

from ppl_parity.starts.kmeans import kmeans_start
from ppl_parity.starts.mode import SHORT_WARMUP, Start, mode_start
from ppl_parity.starts.search import Point, one_pass, search

__all__ = ["SHORT_WARMUP", "Point", "Start", "kmeans_start", "mode_start", "one_pass", "search"]
