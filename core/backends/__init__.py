"""One file per framework; each defines `BACKEND`. Imported by `core.backend.get_backend`, never directly."""
