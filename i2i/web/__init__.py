"""The server of `i2i serve`: a page to translate, draw and edit on, and an API for programs."""

from i2i.web.app import make_app
from i2i.web.limits import Limits
from i2i.web.models import Models

__all__ = ["Limits", "Models", "make_app"]
