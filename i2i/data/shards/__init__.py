"""Images in tar shards, as WebDataset lays them out: local or remote, read at random by an index."""

from i2i.data.shards.cache import ShardCache
from i2i.data.shards.find import find_shards, is_shards

__all__ = ["ShardCache", "find_shards", "is_shards"]
