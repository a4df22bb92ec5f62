"""From the settings of a combination and the bundles of its runs to a predictor."""

from pathlib import Path

import torch

from unroll.errors import UserError
from unroll.kinds import load_model
from unroll.kinds.combination.predictor import CombinedPredictor
from unroll.kinds.combination.settings import CombinationSettings


def bundles_of(settings: CombinationSettings, models: Path) -> list[Path]:
    """The bundles that a combination reads, below the folder `models`."""
    partners = (partner.run for partner in (settings.fusion, settings.rescoring) if partner is not None)
    return [models / run for run in dict.fromkeys([*settings.runs, *partners])]


def load_combination(name: str, settings: CombinationSettings, models: Path, device: torch.device) -> CombinedPredictor:
    """The predictor of `combinations.NAME`; raises `UserError` if its runs do not go together."""
    members = [load_model(models / run, device) for run in settings.runs]
    fusion, rescoring = (
        None if partner is None else (load_model(models / partner.run, device), partner.weight)
        for partner in (settings.fusion, settings.rescoring)
    )
    try:
        return CombinedPredictor(members, fusion, rescoring)
    except UserError as error:
        raise UserError(f"combinations.{name}: {problem}" for problem in error.problems) from None
