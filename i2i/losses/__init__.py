"""The terms that objectives are made of: plain functions and one adversarial loss."""

from i2i.losses.adversarial import AdversarialLoss, Kind, Logits
from i2i.losses.penalties import gradient_penalty
from i2i.losses.reconstruction import l1

__all__ = ["AdversarialLoss", "Kind", "Logits", "gradient_penalty", "l1"]
