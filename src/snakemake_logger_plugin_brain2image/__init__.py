"""The short output of ``brain2image run``: ``snakemake --logger brain2image``.

Snakemake finds its plugins by the name of their package and imports all of them each time, so this imports
what it needs when it is used.
"""

import sys
from logging import LogRecord

from snakemake_interface_logger_plugins.base import LogHandlerBase


class LogHandler(LogHandlerBase):
    """Prints a line a job, and now and then what is running; Snakemake's own log file has the rest."""

    def __post_init__(self) -> None:
        """Start the display on the stream that Snakemake's own output would take."""
        from brain2image.core.progress import Progress

        self.display = Progress(sys.stdout if self.common_settings.stdout else sys.stderr)

    def emit(self, record: LogRecord) -> None:
        """Show a record; one that cannot be shown is no reason to stop the jobs."""
        from brain2image.core.progress import show

        try:
            show(self.display, record, self.format)
        except Exception:
            self.handleError(record)

    def close(self) -> None:
        """Take the line of what is running away."""
        self.display.close()
        super().close()

    @property
    def writes_to_stream(self) -> bool:
        """Say that this takes the place of Snakemake's output."""
        return True

    @property
    def writes_to_file(self) -> bool:
        """Say that Snakemake goes on writing its log file."""
        return False

    @property
    def has_filter(self) -> bool:
        """Leave it to Snakemake what ``--quiet`` hides."""
        return False

    @property
    def has_formatter(self) -> bool:
        """Let Snakemake spell errors, with the log of the job that failed."""
        return False

    @property
    def needs_rulegraph(self) -> bool:
        """Say that no graph is needed."""
        return False
