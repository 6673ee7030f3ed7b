"""Entry point of ``python -m codeintel_nb.cli``."""

import sys

from . import main

sys.exit(main())
