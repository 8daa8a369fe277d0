"""What exists only on a laptop: command line, demo, stub Clerk, embedded Postgres."""

import os

# Powertools reads these when it is imported. Metrics are for CloudWatch to collect.
os.environ.setdefault("POWERTOOLS_METRICS_DISABLED", "true")
