"""What evaluation finds out about a captioner."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unroll.engine import LOCAL, Engine
from unroll.evaluation.caption_figures import Shown, attention_over_image, contact_sheet
from unroll.evaluation.captions import as_words, score_captions
from unroll.evaluation.excerpts import random_rows
from unroll.evaluation.findings import Findings, as_csv, as_lines
from unroll.evaluation.pairs import PairScores
from unroll.evaluation.predictors import CaptionModel, Hypothesis
from unroll.evaluation.samples import Caption, caption_page
from unroll.evaluation.scores import intervals
from unroll.evaluation.settings import CaptionEvaluation
from unroll.images import read_image
from unroll.progress import parts_done
from unroll.text.encoded import EncodedDataset

CELLS = 8  # a picture is compared by so many means across and down, for the nearest one
IMAGES = 4_096  # training images compared at a time


def caption_findings(
    predictor: CaptionModel, dataset: EncodedDataset, settings: CaptionEvaluation, engine: Engine = LOCAL
) -> Findings:
    """Scores of the best captions and of those of the nearest training image, and captions beside their images."""
    images = dataset.raw_images("test")
    arrays = [predictor.read(data, f"image {row + 1} of the test split") for row, (data, _) in enumerate(images)]
    with parts_done("decoded", len(arrays)) as tell:
        found = predictor.decode(arrays, settings, tell, engine)
    hypotheses = [as_words(one.text) for one in found]
    references = [[text for said in captions if (text := as_words(said))] or [""] for _, captions in images]
    scores = score_captions(hypotheses, references)
    nearest = score_captions(_nearest_captions(arrays, dataset), references).corpus
    rows = random_rows(len(images), settings.shown, settings.seed)
    captions = [
        Caption(row + 1, found[row].text, images[row][1], scores.sentences[row]["cider"]) for row in range(len(images))
    ]
    figures = {}
    if dataset.manifest["images"]["unit"] == "pixels":
        figures = _figures(
            predictor, [images[row][0] for row in rows], [captions[row] for row in rows], found, settings
        )
    interval = {name: list(ends) for name, ends in intervals(["cider", "bleu4"], scores.statistics).items()}
    metrics = {"test": scores.corpus, "interval": interval, "signature": scores.signatures}
    return Findings(
        metrics={**metrics, "baseline": {"nearest": nearest}},
        page=caption_page({"model": scores.corpus, "nearest": nearest}, interval, captions, rows, list(figures)),
        predictions={
            "captions.txt": as_lines(" ".join(one.text.split()) for one in found),
            "hypotheses.txt": as_lines(hypotheses),
            "references.txt": as_lines("\t".join(said) for said in references),
            "scores.csv": _scores_csv(found, scores),
        },
        figures=figures,
        unit=predictor.target.unit,
    )


def _nearest_captions(arrays: Sequence[NDArray[Any]], dataset: EncodedDataset) -> list[str]:
    """The first caption of the training image that is most like each image; of equal ones the first."""
    images = dataset.train.images
    assert images is not None
    wanted_NX = np.stack([_small(array[None])[0] for array in arrays])
    best_N = np.full(len(arrays), np.inf)
    place_N = np.zeros(len(arrays), dtype=np.int64)
    for first in range(0, len(images.arrays), IMAGES):
        known_MX = _small(images.arrays[first : first + IMAGES])
        squares_NM = (known_MX**2).sum(1) - 2 * wanted_NX @ known_MX.T
        nearest_N = squares_NM.argmin(1)
        distance_N = squares_NM[np.arange(len(arrays)), nearest_N]
        place_N = np.where(distance_N < best_N, nearest_N + first, place_N)
        best_N = np.minimum(best_N, distance_N)
    texts = dataset.raw_texts("train", "target")
    return [as_words(texts[row]) for row in np.searchsorted(images.of_row, place_N)]


def _small(arrays: NDArray[Any]) -> NDArray[np.float64]:
    """Pictures (N, H, W, 3) as the means of `CELLS` parts across and down, features (N, P, D) as their mean."""
    if arrays.ndim == 3:
        return np.asarray(arrays.mean(axis=1, dtype=np.float64))
    edge = arrays.shape[1] // CELLS * CELLS
    parts = arrays[:, :edge, :edge].reshape(len(arrays), CELLS, edge // CELLS, CELLS, edge // CELLS, 3)
    return np.asarray(parts.mean(axis=(2, 4), dtype=np.float64)).reshape(len(arrays), -1)


def _scores_csv(found: Sequence[Hypothesis], scores: PairScores) -> str:
    """A row an image: the model's score, and what the figures are made of."""
    columns = list(scores.statistics)
    numbers = zip(*(scores.statistics[name].tolist() for name in columns), strict=True)
    table = [(one.score, *row) for one, row in zip(found, numbers, strict=True)]
    return as_csv(("model_score", *columns), table)


def _figures(
    predictor: CaptionModel,
    files: Sequence[bytes],
    captions: Sequence[Caption],
    found: Sequence[Hypothesis],
    settings: CaptionEvaluation,
) -> dict[str, bytes]:
    """The contact sheet, and where the first of its captions looked if the model attends."""
    pictures = [np.asarray(read_image(data, f"row {c.row}")) for data, c in zip(files, captions, strict=True)]
    shown = [Shown(image, c.text, c.references[0], c.exact) for image, c in zip(pictures, captions, strict=True)]
    figures = {"contact_sheet.png": contact_sheet(shown)}
    if predictor.attends:
        for picture, caption in list(zip(pictures, captions, strict=True))[: settings.maps]:
            hypothesis = found[caption.row - 1]
            if hypothesis.tokens and hypothesis.alignment is not None:
                name = f"attention_row_{caption.row}.png"
                figures[name] = attention_over_image(picture, hypothesis.alignment, hypothesis.tokens)
    return figures
