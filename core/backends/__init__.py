"""One file per framework; each defines `BACKEND`. Imported by `core.backend.get_backend`, never directly."""

import os

# Threads of GNU OpenMP (PyTorch's) that wait for work go to sleep soon instead of spinning,
# unless the user has decided otherwise. Left alone they keep their core, and on a machine that does anything else every shared
# piece of work then lasts a time slice of the scheduler. Read when the library is loaded, hence here.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "3000")
