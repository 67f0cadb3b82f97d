"""Where the mixture's chains start.

kmeans.py       k-means++ on the data, spread out
search.py       from k-means++ by EM to a mode of the posterior
information.py  the observed information there: how the posterior curves
laplace.py      from there by Newton to a mode, and the approximation around it
masses.py       how much of the posterior a mode holds
modes.py        the modes that hold some, and chains shared out among them
mode.py         starts around these, and the mass matrix that belongs there
"""

from ppl_parity.starts.kmeans import kmeans_start
from ppl_parity.starts.mode import SHORT_WARMUP, Start, mode_start
from ppl_parity.starts.modes import Mode, unvisited
from ppl_parity.starts.search import Point, one_pass, search

__all__ = [
    "SHORT_WARMUP",
    "Mode",
    "Point",
    "Start",
    "kmeans_start",
    "mode_start",
    "one_pass",
    "search",
    "unvisited",
]
