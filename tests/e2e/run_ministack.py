"""ministack, with the SAM translator of another environment, until its stdin ends.

Run by the Python of `.venv-ministack`; the argument is the folder of packages in
which the translator lies. Functions are started by ministack as processes of the same
Python and do not see that folder: what their layer lacks, they do not find there.
"""

import os
import runpy
import signal
import sys
import threading


def _stop_at_end_of_stdin() -> None:
    while os.read(0, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    # Who started this may end without a chance to stop it.
    threading.Thread(target=_stop_at_end_of_stdin, daemon=True).start()
    sys.path.append(sys.argv.pop())
    runpy.run_module("ministack", run_name="__main__")
