from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lfp_snn.data import Recording, read_recording, write_recording
from lfp_snn.errors import ConfigError, DataError
from lfp_snn.explain import explain
from lfp_snn.explain.album import album, prepared, recording, sample
from lfp_snn.training.build import Task, build
from lfp_snn.training.config import Config, apply


def task(**changes: Any) -> Task:
    layer = {"data": {"name": "event-digits", "n_bins": 6}, "model": {"name": "lif-cnn", "channels": [3, 4]}}
    return build(apply(Config(), {**layer, **changes}, "test"))


FILES = {
    *(
        "cloud.png",
        "decision.gif",
        "events.npy",
        "explanation.json",
        "frames.png",
        "layers.npz",
        "membranes.png",
        "raster.png",
    ),
    *("receptive_fields.png", "relevance.npy", "relevance.png", "surfaces.png", "time_course.png", "view.html"),
}


def test_everything_about_an_example(tmp_path: Path) -> None:
    run = task()
    subject = sample(run, "test", 4)
    found = album(run, subject, tmp_path / "why", against="next")
    why = explain(run.network, subject.x, against="next")
    assert {p.name for p in (tmp_path / "why").iterdir()} == FILES
    relevance = np.load(tmp_path / "why" / "relevance.npy")
    np.testing.assert_allclose(relevance, why.relevance[:, 0], rtol=1e-5, atol=1e-7)
    events = np.load(tmp_path / "why" / "events.npy")
    assert len(events) == found["events"] == len(run.splits.test.events(4))
    inside = why.relevance[:, 0][why.x[:, 0] > 0].sum()
    np.testing.assert_allclose(events["relevance"].sum(), inside, rtol=1e-3, atol=1e-4)
    assert json.loads((tmp_path / "why" / "explanation.json").read_text()) == found
    names = run.splits.class_names
    assert found["class"] == names[int(run.splits.test.labels[4])]
    assert found["decision"] == found["explained"] == names[int(why.scores.argmax())]
    np.testing.assert_allclose(list(found["scores"].values()), why.scores[0], rtol=1e-5)
    assert 1 <= found["steps until decided"] <= found["steps"] == 6


def test_a_file_is_explained_as_the_data_set_s_recording(tmp_path: Path) -> None:
    run = task()
    part = run.splits.test
    file = tmp_path / "digit.npz"
    write_recording(file, Recording(part.events(7), part.sensor_size, "npz"))
    subject = recording(run, file)
    assert (subject.name, subject.label) == ("digit.npz", None)
    assert torch.equal(subject.x, sample(run, "test", 7).x)
    write_recording(file, Recording(part.events(7), (128, 128, 2), "npz"))
    with pytest.raises(DataError, match="its sensor is 128 x 128 with 2 polarities, that of the run"):
        recording(run, file)


@pytest.mark.parametrize("cache", [False, True])
def test_a_file_is_prepared_as_the_data_set_s_recordings(cache: bool, data_root: Path, tmp_path: Path) -> None:
    data = {"name": "nmnist", "n_bins": 5, "stabilize": True, "cache": cache, "cache_dir": str(tmp_path / "cache")}
    crop = [{"name": "CenterCrop", "size": 28}]
    run = task(data={**data, "transforms": crop}, model={"name": "lif-mlp", "hidden": [10]})
    part = run.splits.test
    assert part.shape == (2, 28, 28)
    source = part if not cache else part.source
    assert source is not None
    file = sorted((data_root / "NMNIST" / "Test").glob("[0-9]/*.bin"))[3]
    subject, own = recording(run, file), sample(run, "test", 3)
    assert torch.equal(subject.x, own.x)
    assert np.array_equal(subject.events, own.events)
    found = album(run, subject, tmp_path / "why")
    assert found["events"] == len(own.events)
    raw = read_recording(file).events
    assert len(raw) != len(own.events) or not np.array_equal(raw["x"], own.events["x"])


def test_a_file_that_does_not_name_its_sensor_is_of_the_run_s(tmp_path: Path) -> None:
    run = task()
    part = run.splits.test
    write_recording(tmp_path / "digit.npy", Recording(part.events(7), part.sensor_size, ""))
    assert torch.equal(recording(run, tmp_path / "digit.npy").x, sample(run, "test", 7).x)


def test_a_recording_that_is_too_long(tmp_path: Path) -> None:
    run = task(data={"name": "event-digits", "window_us": 1000})
    events = run.splits.test.events(0).copy()
    events["t"][-1] = 10**9  # a thousand seconds, in steps of a millisecond
    found = Recording(events, run.splits.test.sensor_size, "")
    with pytest.raises(DataError, match=r"far.es: [\d,]+ steps of 800 cells are too many at once"):
        prepared(run, found, "far.es")


def test_where_nothing_can_be_written(tmp_path: Path) -> None:
    run = task()
    (tmp_path / "file").write_text("here")
    with pytest.raises(ConfigError, match="cannot be made a folder"):
        album(run, sample(run, "test", 0), tmp_path / "file")
    assert (tmp_path / "file").read_text() == "here"


def test_names_that_look_like_formulas(tmp_path: Path) -> None:
    run = task()
    subject = dataclasses.replace(sample(run, "test", 0), name="a$_{b$ {c}")
    assert album(run, subject, tmp_path)["example"] == "a$_{b$ {c}"
    assert (tmp_path / "relevance.png").stat().st_size > 1000


def test_hidden_layers_as_numbers(tmp_path: Path) -> None:
    run = task()
    subject = sample(run, "test", 4)
    album(run, subject, tmp_path)
    why = explain(run.network, subject.x)
    with np.load(tmp_path / "layers.npz") as found:
        for name, layer in why.layers.items():
            for key in ("output", "relevance", "membrane", "threshold", "carried"):
                value = getattr(layer, key)
                assert (value is None) == (f"{name}.{key}" not in found)
                if value is not None:
                    np.testing.assert_allclose(found[f"{name}.{key}"], value[:, 0], rtol=1e-5, atol=1e-6)


def test_a_training_example_is_not_augmented() -> None:
    run = task(data={"name": "event-digits", "n_bins": 6, "augment": {"shift": 3, "drop": 0.5}})
    subject = sample(run, "train", 2)
    assert torch.equal(subject.x, sample(run, "train", 2).x)
    assert int(subject.x.sum()) >= 0.95 * len(subject.events)


def test_another_class_than_the_decision(tmp_path: Path) -> None:
    run = task()
    subject = sample(run, "test", 4)
    decided = int(explain(run.network, subject.x).target)
    other = (decided + 1) % 10
    found = album(run, subject, tmp_path, target=other, against=decided)
    assert found["explained"] == run.splits.class_names[other] != found["decision"]


def test_pictures_without_time(tmp_path: Path) -> None:
    run = task(data={"name": "digits"}, model={"name": "mlp"})
    found = album(run, sample(run, "test", 0), tmp_path)
    assert {p.name for p in tmp_path.iterdir()} >= {"relevance.png", "relevance.npy", "explanation.json"}
    assert "steps" not in found
    with pytest.raises(ConfigError, match="is not made of events"):
        recording(run, "a.npz")


def test_a_static_picture_is_explained_over_time(tmp_path: Path) -> None:
    run = task(data={"name": "digits"}, model={"name": "lif-mlp"}, encoder={"name": "constant", "steps": 5})
    found = album(run, sample(run, "test", 0), tmp_path)
    assert found["steps"] == 5
    assert np.load(tmp_path / "relevance.npy").shape[0] == 5
    assert (tmp_path / "decision.gif").exists()


def test_no_such_example() -> None:
    with pytest.raises(ConfigError, match=r"the test part has examples 0 to \d+, not 100000"):
        sample(task(), "test", 100_000)
