"""The rungs: one question each, ``NAME`` and ``run(context)``."""
