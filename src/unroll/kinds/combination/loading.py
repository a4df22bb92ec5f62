"""From the settings of a combination and the bundles of its runs to a predictor."""

from pathlib import Path

import torch

from unroll.errors import UserError
from unroll.kinds import load_model
from unroll.kinds.combination.mixture import MixedLanguageModel
from unroll.kinds.combination.predictor import CombinedPredictor
from unroll.kinds.combination.settings import PairCombination, TextCombination

Combination = PairCombination | TextCombination


def bundles_of(settings: Combination, models: Path) -> list[Path]:
    """The bundles that a combination reads, below the folder `models`."""
    partners = [] if isinstance(settings, TextCombination) else [settings.fusion, settings.rescoring]
    runs = [*settings.runs, *(partner.run for partner in partners if partner is not None)]
    return [models / run for run in dict.fromkeys(runs)]


def load_combination(
    name: str, settings: Combination, models: Path, device: torch.device
) -> CombinedPredictor | MixedLanguageModel:
    """The predictor of `combinations.NAME`; raises `UserError` if its runs do not go together."""
    members = [load_model(models / run, device) for run in settings.runs]
    try:
        if isinstance(settings, TextCombination):
            return MixedLanguageModel(members, settings.weights or [1.0] * len(members))
        fusion, rescoring = (
            None if partner is None else (load_model(models / partner.run, device), partner.weight)
            for partner in (settings.fusion, settings.rescoring)
        )
        return CombinedPredictor(members, fusion, rescoring)
    except UserError as error:
        raise UserError(f"combinations.{name}: {problem}" for problem in error.problems) from None
