"""The pages that show runs: `report.html`, of one, and a comparison of several; both open from disk."""

from i2i.report.comparison import require_runs, write_comparison
from i2i.report.write import write_page

__all__ = ["require_runs", "write_comparison", "write_page"]
