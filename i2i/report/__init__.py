"""`report.html`: a run's sample grids, curves, scores, commands and settings on one page that opens from disk."""

from i2i.report.write import write_page

__all__ = ["write_page"]
