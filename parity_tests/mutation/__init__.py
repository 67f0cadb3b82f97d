"""Mutation score: correct pairs, broken on purpose, and whether a check sees it, where, and on which rung.

``python -m parity_tests.mutation`` runs them all and prints the table.
"""
