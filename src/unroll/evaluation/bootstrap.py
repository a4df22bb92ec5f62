"""Bootstrap over the texts of a test set: how much of a figure, or of a difference of two, is chance.

Koehn (2004), "Statistical significance tests for machine translation evaluation". A resample has as many texts as the
test set, drawn from it with replacement. The resamples are those of sacrebleu, which draws them with the same seed, and
they depend on the number of texts alone: so two runs on one test set are resampled in pairs.

N texts, R resamples, K sums.
"""

import numpy as np
from numpy.typing import NDArray

RESAMPLES, SEED = 1000, 12345
FEWEST = 20  # texts: fewer do not say how texts vary, a single one least of all
LEVEL = 0.05
_TAIL = int((RESAMPLES + 1) * LEVEL / 2)  # resamples beyond an end of the interval, and the first one outside

Numbers = NDArray[np.float64]


def resampled_sums(values_NK: Numbers) -> Numbers:
    """The sums (R, K) of `values_NK` over the texts of each resample."""
    random = np.random.default_rng(SEED)
    texts = len(values_NK)
    sums_RK = np.empty((RESAMPLES, values_NK.shape[1]))
    for sums_K in sums_RK:
        drawn_N = np.bincount(random.integers(texts, size=texts), minlength=texts)
        sums_K[:] = drawn_N @ values_NK
    return sums_RK


def interval(values_R: Numbers) -> tuple[float, float]:
    """The interval that holds a figure's resampled values but for the 2.5% at each end."""
    ordered = np.sort(values_R)
    return float(ordered[_TAIL - 1]), float(ordered[-_TAIL])


def p_value(differences_R: Numbers) -> float:
    """How likely as large a difference is without a true one, in either direction, from resampled differences.

    Twice the share of the resamples in which the sign is the other one or none, itself counted in: below `LEVEL` just
    where `interval` leaves zero out. (sacrebleu's own p-value counts one direction alone and is about half of this.)
    """
    contrary = min(np.count_nonzero(differences_R <= 0), np.count_nonzero(differences_R >= 0))
    return min(1.0, 2 * (contrary + 1) / (len(differences_R) + 1))
