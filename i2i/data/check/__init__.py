"""Check a data set before training."""

from i2i.data.check.findings import FileGroup, Finding
from i2i.data.check.report import Report, check
from i2i.data.check.text import as_text

__all__ = ["FileGroup", "Finding", "Report", "as_text", "check"]
