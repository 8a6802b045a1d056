"""`python -m i2i`: the command line."""

import sys

from i2i.cli import main

sys.exit(main())
