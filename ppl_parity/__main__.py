"""``python -m ppl_parity`` is the console script ``ppl-parity``."""

from ppl_parity.cli import main

if __name__ == "__main__":
    main()
