"""How often gates are saturated: figure 3 of Karpathy et al. (2015)."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from unroll.evaluation.figures import COLOURS, FAINT, png
from unroll.evaluation.inside.activity import LEFT, RIGHT, Saturation


def gate_figure(saturations: Sequence[Saturation]) -> bytes:
    """A scatter plot a gate, a dot a unit: how often it is nearly shut, and how often nearly open."""
    names = list(dict.fromkeys(found.gate for found in saturations))
    layers = max(found.layer for found in saturations)

    def draw(figure: Figure) -> None:
        axes_of = dict(zip(names, figure.subplots(1, len(names), sharey=True, squeeze=False)[0], strict=True))
        for found in saturations:
            axes_of[found.gate].scatter(
                found.left_H,
                found.right_H,
                s=14,
                color=COLOURS[(found.layer - 1) % len(COLOURS)],
                alpha=0.5,
                linewidths=0,
                clip_on=False,
                label=f"layer {found.layer}",
            )
        for name, axes in axes_of.items():
            axes.plot([0, 1], [1, 0], color=FAINT, linewidth=0.8, linestyle=":")
            axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal", xlabel=f"share of time below {LEFT}")
            axes.set_title(f"{name} gate", fontsize=11)
            axes.set_xticks(np.linspace(0, 1, 6))
            axes.grid(True, color=FAINT, alpha=0.2)
        axes_of[names[0]].set_ylabel(f"share of time above {RIGHT}")
        if layers > 1:
            axes_of[names[-1]].legend(frameon=False, loc="upper right")

    return png(draw, 0.8 + 3.1 * len(names), 3.8)
