"""The command line, ``ppl-parity``: one file a subcommand. It loads neither torch nor jax.

The subcommands are put together in ``app``; this file is read first, and only starts what takes longest.
"""

import sys


def main() -> None:
    """The console script."""
    from ppl_parity.cli import ahead
    from ppl_parity.importing import importing
    from ppl_parity.leaving import leave

    status = 0
    ahead.start_backend(sys.argv[1:])
    try:
        with importing():
            from ppl_parity.cli.app import app
            from ppl_parity.cli.exits import end_on_sigterm

        end_on_sigterm()
        app()
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    finally:
        ahead.end_unused()
    leave(status)
