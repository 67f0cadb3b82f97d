"""Samplers with one face, each in a file that loads only what it needs: the two backends, and their peers.

Each file, ``on_`` and its name, has ``versions()`` and ``System(formulation, spec, x, dtype, device)`` with

    settings             what it does by default where others do otherwise, by topic, in words
    log_density(theta, beta)
                         (P,) log p(theta, beta | x) up to a constant, on the constrained scale, of P points
    sample(theta, beta, *, num_warmup, num_draws, seed)
                         from starts theta (C, K), beta (C, K, D): theta (C, S, K), beta (C, S, K, D),
                         n_steps (C, S) leapfrog steps, diverging (C, S)

``PEERS`` run in the Python of ``--peers-python``, which needs NumPy and the peer, and neither of the backends.
"""

BACKENDS = ("numpyro", "pyro", "fit")
PEERS = ("nutpie", "blackjax", "pymc", "stan")
