"""The command line, ``ppl-parity``: one file a subcommand. It loads neither torch nor jax.

The subcommands are put together in ``app``; this file is read first, and only starts what takes longest.
"""

import sys


def main() -> None:
    """The console script."""
    from ppl_parity.cli import ahead
    from ppl_parity.process.deferring import OF_NUMPY, defer
    from ppl_parity.process.importing import importing
    from ppl_parity.process.leaving import INTERRUPTED, end_on_signals, leave

    status = 0
    end_on_signals()
    try:
        ahead.start_backend(sys.argv[1:])
        defer(*OF_NUMPY)
        with importing():
            from ppl_parity.cli.app import app

        app()
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except KeyboardInterrupt:  # before there was an app to hear it
        print("Interrupted.", file=sys.stderr)
        status = INTERRUPTED
    finally:
        ahead.end_unused()
    leave(status)
