"""What exists only on a developer's machine: nothing in here is deployed.

A command line, a page, a stub Clerk and an embedded Postgres around the same functions
that run in AWS. `local` may import from the layer and call the functions; neither knows
that it exists.
"""

import os

# Powertools reads these when it is imported. Metrics are for CloudWatch to collect.
os.environ.setdefault("POWERTOOLS_METRICS_DISABLED", "true")
