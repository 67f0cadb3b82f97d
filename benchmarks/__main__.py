"""``python -m benchmarks``: the same as ``ppl-parity bench``; ``gpu`` needs nothing but jax or torch."""

import sys

if __name__ == "__main__":
    if sys.argv[1:2] == ["gpu"]:
        from benchmarks.gpu.__main__ import main as measure_gpu

        sys.exit(measure_gpu(sys.argv[2:]))
    from ppl_parity.cli.bench import main

    main()
