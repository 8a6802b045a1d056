"""`report.html`, the page of a run: one file that opens from disk, with the run's images, curves and commands."""

from i2i.report.write import write_page

__all__ = ["write_page"]
