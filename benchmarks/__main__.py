"""``python -m benchmarks``: the same as ``ppl-parity bench``."""

from ppl_parity.cli.bench import main

if __name__ == "__main__":
    main()
