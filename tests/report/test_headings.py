"""Every metric that is scored has a heading, and numbers are shown as it says."""

import numpy as np

from brain2image.evaluation.scores import retrieval_scores
from brain2image.report.headings import METRICS


def test_every_metric_has_a_column(rng):
    targets = rng.standard_normal((12, 4)).astype(np.float32)
    assert set(retrieval_scores(targets, targets)) <= set(METRICS)


def test_values_are_shown_in_the_unit_of_the_heading():
    assert METRICS["top1"].show(0.25) == "25.0"
    assert METRICS["mrr"].show(0.256) == "0.26"
