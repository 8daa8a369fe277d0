"""`make bench`: the numbers that README quotes, measured anew."""

import os
import platform

from benchmarks import full_sync, imports, single_user


def main() -> None:
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores\n")
    for benchmark in (single_user, full_sync, imports):
        print(benchmark.__doc__)
        print("\n".join(benchmark.run()), end="\n\n", flush=True)


if __name__ == "__main__":
    main()
