"""The image pool: older generated images that a discriminator sees among new ones."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from i2i.distributed import all_gather, local_shard


class ImagePool(nn.Module):
    """Half of the time, once it is full, return an older image of the pool and keep the new one instead.

    Source: Shrivastava et al. 2017, sec. 2.3; Zhu et al. 2017, sec. 4, with size 50. The images are part of a
    checkpoint; where the image size changes the pool starts empty. In evaluation mode it returns its input. All ranks
    hold the same pool.
    """

    images: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        self.register_buffer("images", torch.empty(0), persistent=False)

    @torch.no_grad()
    def forward(self, fresh: Tensor) -> Tensor:
        """Return for each of the images (N, C, H, W) itself or an older one, detached."""
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
        """The images of the pool."""
        return self.images

    def set_extra_state(self, state: Tensor) -> None:
        """Restore the images of the pool."""
        self.images = state.to(self.images.device, copy=True)
