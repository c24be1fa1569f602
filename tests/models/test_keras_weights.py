"""Weights as Keras saves them. What Keras itself writes is read in `tests/hub/test_keras_presets.py`."""

from __future__ import annotations

import json
import sys

import ml_dtypes
import numpy as np
import pytest
from ferrule.models.errors import WeightsError
from ferrule.models.keras_weights import KerasWeights
from hypothesis import given, settings
from hypothesis import strategies as st

h5py = pytest.importorskip("h5py")

ARRAYS = {
    "layers/dense/vars/0": np.arange(12, dtype=np.float32).reshape(3, 4),
    "layers/dense/vars/1": np.arange(4, dtype=np.float16),
    "layers/dense_1/norm/vars/0": np.linspace(-2, 2, 5).astype(ml_dtypes.bfloat16),
    "layers/dropout/seed_generator/vars/0": np.array([1, 2], np.uint32),
}


def write(path, arrays):
    """As Keras writes a file: two opaque bytes for bfloat16, with its name beside them."""
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            data = file.create_dataset(name, data=array)
            if array.dtype == ml_dtypes.bfloat16:
                data.attrs["dtype"] = "bfloat16"


@pytest.fixture
def folder(tmp_path):
    write(tmp_path / "model.weights.h5", ARRAYS)
    return tmp_path


@pytest.fixture
def sharded(tmp_path):
    names = list(ARRAYS)
    files = {"model_00000.weights.h5": names[:1], "model_00001.weights.h5": names[1:]}
    for file, inside in files.items():
        write(tmp_path / file, {name: ARRAYS[name] for name in inside})
    places = {"/layers/dense/vars": list(files), "/layers/dense_1/norm/vars": "model_00001.weights.h5"}
    (tmp_path / "model.weights.json").write_text(json.dumps({"metadata": {}, "weight_map": places}))
    return tmp_path


@pytest.mark.parametrize("kind", ["folder", "sharded"])
def test_arrays_by_path(kind, request):
    with KerasWeights(request.getfixturevalue(kind)) as weights:
        assert sorted(weights) == sorted(ARRAYS)
        assert len(weights) == len(ARRAYS)
        for name, array in ARRAYS.items():
            assert (weights[name].shape, weights[name].dtype) == (array.shape, array.dtype)
            np.testing.assert_array_equal(np.asarray(weights[name]), array)
            assert np.asarray(weights[name], np.float32).dtype == np.float32


def test_nothing_is_read_before_it_is_asked_for(folder):
    with KerasWeights(folder) as weights:
        stored = weights["layers/dense/vars/0"]
    with pytest.raises(Exception, match=r"(?i)closed|identifier|valid"):
        np.asarray(stored)


def external_link(file):
    file["layers/elsewhere"] = h5py.ExternalLink("/etc/passwd", "/x")


def soft_link(file):
    file["layers/again"] = h5py.SoftLink("/layers/dense")


def circle(file):
    file["layers/dense/up"] = file["layers"]


def twice(file):
    file["layers/dense/vars/again"] = file["layers/dense/vars/0"]


def external_data(file):
    file.create_dataset("layers/outside", (4,), "u1", external=[("/etc/hostname", 0, 4)])


def virtual_data(file):
    layout = h5py.VirtualLayout((4,), "f4")
    layout[:] = h5py.VirtualSource("/etc/hostname", "x", (4,))
    file.create_virtual_dataset("layers/virtual", layout)


def texts(file):
    file["layers/texts"] = ["a", "b"]


def references(file):
    file.create_dataset("layers/references", (1,), h5py.ref_dtype)


def opaque(file):
    file["layers/opaque"] = np.zeros(3, "V2")


def a_type(file):
    file["layers/type"] = np.dtype("f4")


def empty(file):
    file["layers/empty"] = h5py.Empty("f4")


def deep(file):
    file.create_group("/".join("x" * 30))


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (external_link, "layers/elsewhere is a link, which can lead to any file"),
        (soft_link, "layers/again is a link, which can lead to any file"),
        (circle, "layers/dense/up is there under another name as well"),
        (twice, "layers/dense/vars/again is there under another name as well"),
        (external_data, "layers/outside has its data in another file"),
        (virtual_data, "layers/virtual has its data in another file"),
        (texts, "layers/texts holds object, not numbers"),
        (references, "layers/references holds object, not numbers"),
        (opaque, r"layers/opaque holds \|V2, not numbers"),
        (a_type, "layers/type is no array"),
        (empty, "layers/empty is no array"),
        (deep, "lies more than 16 groups deep"),
    ],
)
def test_what_is_no_array_of_this_file(folder, edit, message):
    with h5py.File(folder / "model.weights.h5", "a") as file:
        edit(file)
    with pytest.raises(WeightsError, match=message) as caught:
        KerasWeights(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "no HDF5 file, or a damaged one"),
        (b"\x80\x04nothing", "no HDF5 file, or a damaged one"),
        (None, "holds neither model.weights.h5 nor model.weights.json"),
    ],
)
def test_files_that_are_no_weights(tmp_path, data, message):
    if data is not None:
        (tmp_path / "model.weights.h5").write_bytes(data)
    with pytest.raises(WeightsError, match=message) as caught:
        KerasWeights(tmp_path)
    assert "\n" not in str(caught.value)


@settings(deadline=None, max_examples=100)
@given(data=st.data())
def test_damaged_files(tmp_path_factory, data):
    """Cut off, or with bytes changed: read, or refused by an error of ours; nothing else."""
    folder = tmp_path_factory.mktemp("damaged")
    path = folder / "model.weights.h5"
    write(path, ARRAYS)
    raw = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(0, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(raw[: data.draw(st.integers(0, len(raw)))] if data.draw(st.booleans()) else raw)
    try:
        with KerasWeights(folder) as weights:
            for stored in weights.values():
                assert np.asarray(stored).shape == stored.shape
    except WeightsError as error:
        refused = str(error)
        assert "\n" not in refused


@pytest.mark.parametrize(
    ("index", "message"),
    [
        (b"{", "no index of Keras weights; it needs an object weight_map"),
        (b"{}", "no index of Keras weights; it needs an object weight_map"),
        (b'{"weight_map": {"/x": "../up.weights.h5"}}', "'../up.weights.h5' is no file of weights of its folder"),
        (b'{"weight_map": {"/x": "model.pkl"}}', "'model.pkl' is no file of weights of its folder"),
        (b'{"weight_map": {"/x": ["model_00009.weights.h5"]}}', "model_00009.weights.h5 is missing"),
    ],
)
def test_indices_that_are_damaged(sharded, index, message):
    (sharded / "model.weights.json").write_bytes(index)
    with pytest.raises(WeightsError, match=message):
        KerasWeights(sharded)


def test_one_array_in_two_files(sharded):
    write(sharded / "model_00001.weights.h5", ARRAYS)
    with pytest.raises(WeightsError, match=r"layers/dense/vars/0 is in another file of model\.weights\.json as well"):
        KerasWeights(sharded)


def test_without_h5py(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(WeightsError, match=r"needs h5py, which is not installed \(pip install 'ferrule\[keras\]'\)"):
        KerasWeights(folder)
