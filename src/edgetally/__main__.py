"""`python -m edgetally`, and the entry of edgetally.pyz."""

import sys

from edgetally.start import main

sys.exit(main())
