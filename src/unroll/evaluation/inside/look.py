"""All that is seen inside a recurrent language model, as files for the folder of figures."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from unroll.evaluation.inside.activity import activity
from unroll.evaluation.inside.gates import gate_figure
from unroll.evaluation.inside.gradients import gradients_by_lag
from unroll.evaluation.inside.lags import FILE, run_figure
from unroll.evaluation.inside.neighbours import neighbour_page, neighbours, tokens_to_show
from unroll.evaluation.inside.properties import properties, surfaces
from unroll.evaluation.inside.reading import read_rows
from unroll.evaluation.inside.units import unit_page
from unroll.evaluation.predictors import RecurrentLanguageModel
from unroll.nn.cells import LSTM
from unroll.text.vocabulary import Vocabulary, printable

TOKENS = 10_000  # of the test text: bounds time and memory
HALF = "\N{REPLACEMENT CHARACTER}"


def look_inside(
    model: RecurrentLanguageModel, texts: Sequence[str], trained: NDArray[np.integer], lags: int
) -> dict[str, bytes]:
    """Each file by name: PNG, HTML, and the gradient's norms as CSV.

    `texts` are the test split, of which the beginning is read; `trained` all ids of the training split; `lags` the
    steps back that gradients are followed.
    """
    rows = read_rows(model, texts, TOKENS)
    found = gradients_by_lag(model, rows, lags)
    files = {"gradients.png": run_figure(found, model.vocabulary.unit), FILE: found.to_csv().encode()}
    seen = activity(model, rows)
    if seen.saturations:
        files["gates.png"] = gate_figure(seen.saturations)
    tokens = seen.tokens_N.tolist()
    pieces = surfaces(model.vocabulary, tokens)
    shown = [shown_piece(model.vocabulary, token, piece) for token, piece in zip(tokens, pieces, strict=True)]
    name = "tanh(c)" if isinstance(model.network.layers[-1].cell, LSTM) else "h"
    files["units.html"] = unit_page(name, seen.activations_NH, shown, properties(pieces)).encode()
    if model.network.embedding is not None:
        vectors_VE = model.network.embedding.weight.detach().float().cpu().numpy()
        counts_V = np.bincount(trained[trained < len(vectors_VE)], minlength=len(vectors_VE))
        chosen = neighbours(vectors_VE, counts_V, tokens_to_show(counts_V))
        files["neighbours.html"] = neighbour_page(chosen, model.vocabulary).encode()
    return files


def shown_piece(vocabulary: Vocabulary, token: int, surface: str) -> str:
    """A token as a person sees it: what it adds to the text, or its own name where that is nothing or half a sign."""
    whole = surface and HALF not in surface
    return printable(surface) if whole else vocabulary.tokens([token])[0]
