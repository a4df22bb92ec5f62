"""The figure `scores_by_length.png`."""

import math
from collections.abc import Mapping, Sequence
from itertools import chain

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from unroll.evaluation.buckets import Bucket
from unroll.evaluation.figures import COLOURS, FAINT, png


def scores_by_bucket(groups: Mapping[str, Sequence[Bucket]], labels: Mapping[str, str]) -> bytes:
    """The figures in `labels` of each bucket, a panel a group of them.

    Under each bucket stands how many sentences it has; the bar at the first figure is its 95% interval.
    """

    def draw(figure: Figure) -> None:
        widths = [len(buckets) + 1 for buckets in groups.values()]
        panels = figure.subplots(1, len(groups), sharey=True, squeeze=False, width_ratios=widths)[0]
        for axes, (what, buckets) in zip(panels, groups.items(), strict=True):
            _draw_buckets(axes, buckets, labels)
            axes.set_xlabel(what)
        panels[0].set(ylabel="score", ylim=(0, 1.06 * _highest(groups, labels)))
        panels[0].legend(frameon=False, loc="lower left", bbox_to_anchor=(-0.02, 1), ncols=len(labels))

    return png(draw, 9, 3.8)


def _highest(groups: Mapping[str, Sequence[Bucket]], labels: Mapping[str, str]) -> float:
    """The highest of all that is drawn, at least 1."""
    highest = 1.0
    for bucket in chain.from_iterable(groups.values()):
        drawn = [*(bucket.figures.get(key, math.nan) for key in labels), *(bucket.interval or ())]
        highest = max([highest, *filter(math.isfinite, drawn)])
    return highest


def _draw_buckets(axes: Axes, buckets: Sequence[Bucket], labels: Mapping[str, str]) -> None:
    for (key, label), colour in zip(labels.items(), COLOURS, strict=False):
        values = [bucket.figures.get(key, math.nan) for bucket in buckets]
        axes.plot(range(len(buckets)), values, color=colour, marker="o", markersize=4, linewidth=1.4, label=label)
    for place, bucket in enumerate(buckets):
        if bucket.interval:
            axes.vlines(place, *bucket.interval, color=COLOURS[0], linewidth=4, alpha=0.3)
    axes.set_xticks(
        range(len(buckets)), [f"{bucket.name.replace('_', ' ')}\n({bucket.sentences:,})" for bucket in buckets]
    )
    axes.set_xlim(-0.6, len(buckets) - 0.4)
    axes.tick_params(labelsize=8)
    axes.grid(True, axis="y", color=FAINT, alpha=0.2)
