"""The history of generated images that a discriminator is shown beside fresh ones."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from i2i.distributed import all_gather, local_shard


class ImagePool(nn.Module):
    """Half the time return an older generated image and keep the new one in its place.

    Source: Shrivastava et al. 2017, sec. 2.3; Zhu et al. 2017, sec. 4, with size 50. Its content is part of the
    state of a run, and begins anew where the images' size changes. In evaluation mode it returns what it is given.
    Processes that share a batch share the history: each keeps all of it.
    """

    images: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        self.register_buffer("images", torch.empty(0), persistent=False)

    @torch.no_grad()
    def forward(self, fresh: Tensor) -> Tensor:
        """Take images (N, C, H, W) and return as many, old or new, detached."""
        fresh = fresh.detach()
        if self.size == 0 or not self.training:
            return fresh
        fresh = all_gather(fresh)
        shown = fresh.clone()
        if self.images.shape[1:] != fresh.shape[1:]:
            self.images = fresh[:0]
        room = self.size - len(self.images)
        self.images = torch.cat([self.images, fresh[:room]])
        for index, image in enumerate(fresh[room:], start=room):
            if torch.rand(()) < 0.5:
                old = int(torch.randint(self.size, ()))
                shown[index] = self.images[old]
                self.images[old] = image
        return local_shard(shown)

    def get_extra_state(self) -> Tensor:
        """The images kept."""
        return self.images

    def set_extra_state(self, state: Tensor) -> None:
        """Put the images back."""
        self.images = state.to(self.images.device, copy=True)
