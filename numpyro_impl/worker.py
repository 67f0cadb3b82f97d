"""This side's own process: ``python -m numpyro_impl.worker`` answers the contract's calls on its pipes."""

from ppl_parity.worker import serve

if __name__ == "__main__":
    serve("numpyro_impl")
