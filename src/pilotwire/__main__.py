"""`python -m pilotwire` is the `pilotwire` command."""

import sys

from pilotwire.cli.main import main

sys.exit(main())
