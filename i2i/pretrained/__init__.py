"""Find a model: one that comes with i2i, one of the Hugging Face Hub, or a file."""

from i2i.pretrained.find import hub_file as hub_file
from i2i.pretrained.find import model_file as model_file
from i2i.pretrained.index import Entry as Entry
from i2i.pretrained.index import folder as folder
from i2i.pretrained.index import pretrained as pretrained
