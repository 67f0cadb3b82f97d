"""``ppl-parity render``: the mixture's graph, by the backend's own renderer."""

from __future__ import annotations

import numpy as np

from ppl_parity.backend.graphs import DRAWN
from ppl_parity.cli import inputs, options, outputs
from ppl_parity.errors import InputError, one_of
from ppl_parity.process.references import MixtureReference
from ppl_parity.spec import FORMULATIONS, MixtureSpec


def render(
    *,
    backend: options.Backend = "numpyro",
    components: options.Components = None,
    data: options.OptionalData = None,
    columns: options.Columns = None,
    num_data: options.NumData = 100,
    dim: options.Dim = 2,
    formulation: options.Formulation = "enumerated",
    out: options.Out,
    force: options.Force = False,
    pyro_python: options.PyroPython = None,
    numpyro_python: options.NumpyroPython = None,
    debug: options.Debug = False,
) -> None:
    """Draw the mixture's graph: .gv is Graphviz source; .pdf, .png and .svg need Graphviz's program dot."""
    from ppl_parity.cli import console
    from ppl_parity.cli.processes import backend_process

    inputs.backend_name(backend)
    one_of("--formulation", formulation, FORMULATIONS)
    if data is not None:
        given = {} if components is None else {"num_components": components}
        dataset, spec = inputs.data_and_spec(data, None, None, given, columns)
        x = dataset.x
    else:
        if columns is not None:
            raise InputError("--columns must go with --data; got no data.")
        if num_data < 1:
            raise InputError(f"--num-data must be at least 1; got {num_data}.")
        spec = MixtureSpec(num_components=3 if components is None else components, dim=dim)
        x = np.zeros((num_data, dim))  # a graph shows shapes and what is observed, not values
    outputs.check_file(out, "--out", [".gv", *DRAWN], force)
    pythons = {"pyro": pyro_python, "numpyro": numpyro_python}
    with backend_process(backend, pythons, debug=debug) as side:
        side.render(MixtureReference(spec, formulation), {"x": x}, out.absolute())
    console.written(console.screen(), [out])
