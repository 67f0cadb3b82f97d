"""A pair of models: what a user hands over, loaded, checked, and with a loop's sites as one."""
