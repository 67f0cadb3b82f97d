"""Data for the mixture: bundled real sets, files of the user's, arrays, and simulated data with its truth."""

from ppl_parity.data.bundled import BUNDLED_NAMES
from ppl_parity.data.dataset import Dataset
from ppl_parity.data.load import dataset_from_array, load_data
from ppl_parity.data.readers import SUFFIXES
from ppl_parity.data.shards import load_shard
from ppl_parity.data.simulate import simulate, well_separated
from ppl_parity.data.standardize import standardize, unstandardize

__all__ = [
    "BUNDLED_NAMES",
    "SUFFIXES",
    "Dataset",
    "dataset_from_array",
    "load_data",
    "load_shard",
    "simulate",
    "standardize",
    "unstandardize",
    "well_separated",
]
