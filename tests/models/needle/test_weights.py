from __future__ import annotations

import subprocess
import sys
from importlib import metadata

import pytest
from ferrule.models.errors import WeightsError
from ferrule.models.needle import weights


def test_found_without_importing_the_package():
    code = (
        "import sys; from ferrule.models.needle.weights import find_packaged_weights as f; p = f();"
        "assert p.name == 'needle3.cact' and p.is_file(); assert 'needle' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_not_installed(monkeypatch):
    def missing(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "distribution", missing)
    with pytest.raises(WeightsError, match=r"ferrule\[needle\]"):
        weights.find_packaged_weights()


@pytest.mark.parametrize(("version", "files"), [("3.9.0", []), ("3.10.2", []), ("3.10.2", None)])
def test_other_version_or_file_missing(monkeypatch, version, files):
    class Distribution:
        pass

    Distribution.version, Distribution.files = version, files
    monkeypatch.setattr(metadata, "distribution", lambda name: Distribution)
    with pytest.raises(WeightsError) as error:
        weights.find_packaged_weights()
    assert version in str(error.value)
    assert "\n" not in str(error.value)
