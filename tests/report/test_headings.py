"""Every metric of the scores has a heading and a number format."""

from brain2image.report.headings import METRICS


def test_values_are_shown_in_the_unit_of_their_heading():
    assert METRICS["top1"].show(0.1234) == "12.3"
    assert METRICS["mrr"].show(0.1234) == "0.12"
    assert all((column.factor == 100) == column.heading.endswith("%") for column in METRICS.values())
