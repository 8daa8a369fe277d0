"""The contenders of the bulk-sync benchmark, each a process of its own.

`python -m benchmarks.contenders.NAME` finds DATABASE_URL, CLERK_API_URL,
CLERK_SECRET_KEY and BENCHMARK_FOLDER, a folder that stays between its runs, in the
environment. It prints one line of JSON at the end; see `stopwatch.tell`.
"""
