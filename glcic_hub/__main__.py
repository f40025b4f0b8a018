"""`python -m glcic_hub`: the same as the command `glcic`."""

import sys

from glcic_hub.cli import main

sys.exit(main())
