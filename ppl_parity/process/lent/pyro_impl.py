"""The package of this name that the parent has; see ``_ppl_parity_lent``."""

from _ppl_parity_lent import become

become(globals())
