"""`python -m edgetally`, and the entry of edgetally.pyz."""

import sys

from edgetally.cli.startup import main

sys.exit(main())
