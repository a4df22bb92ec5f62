"""Names that settings of several kinds share."""

from typing import Literal

CellName = Literal["elman", "lstm", "gru"]
