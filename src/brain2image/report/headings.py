"""How each metric is shown, in the terminal and on the pages."""

from typing import NamedTuple


class Column(NamedTuple):
    """Heading, factor and number format of a metric."""

    heading: str
    factor: float
    style: str

    def show(self, value: float) -> str:
        """Return a value of the metric as text."""
        return self.style.format(self.factor * value)


METRICS = {
    "top1": Column("top-1 %", 100, "{:.1f}"),
    "top5": Column("top-5 %", 100, "{:.1f}"),
    "top10": Column("top-10 %", 100, "{:.1f}"),
    "two_way": Column("2-way %", 100, "{:.1f}"),
    "median_rank": Column("median rank", 1, "{:.1f}"),
    "mrr": Column("MRR", 1, "{:.2f}"),
    "percentile_rank": Column("percentile %", 100, "{:.1f}"),
    "rsa": Column("RSA ρ", 1, "{:.2f}"),
    "cosine": Column("cosine", 1, "{:.3f}"),
    "mse": Column("MSE", 1, "{:.3f}"),
    "cluster": Column("cluster %", 100, "{:.1f}"),
}
