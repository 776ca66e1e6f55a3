"""The forest in tensors is scikit-learn's forest, and its features are the same everywhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from sklearn.ensemble import RandomForestClassifier

from core.annotation.model import ClassList
from core.learning.export import export_onnx
from core.learning.runs.weights import header_for
from core.learning.training.forest import tree_of
from core.models import hand_made
from core.models.hand_made import CHANNELS, FINENESS, REACH, HandMadeFeatures
from core.models.random_forest import ForestNetwork
from core.models.registry import build


@pytest.fixture(scope="module")
def picture() -> torch.Tensor:
    return torch.randint(0, 256, (1, 3, 40, 52), generator=torch.Generator().manual_seed(0)).float()


@pytest.fixture(scope="module")
def features(picture: torch.Tensor) -> np.ndarray:
    """(40 * 52, channels)."""
    return HandMadeFeatures()(picture)[0][0].flatten(1).T.numpy()


def grown(features: np.ndarray, trees: int = 6) -> RandomForestClassifier:
    """On classes that stand for channels 0 and 2: nobody has drawn the one between."""
    targets = np.where(features[:, 11] + 5 * features[:, 14] > np.median(features[:, 11]), 2, 0)
    forest = RandomForestClassifier(trees, max_leaf_nodes=24, max_depth=6, random_state=0)
    return forest.fit(features, targets)


def test_a_planted_forest_says_what_scikit_learn_says(picture: torch.Tensor, features: np.ndarray):
    forest = grown(features)
    network = build("random_forest", classes=3, trees=6, leaves=24, depth=6)
    assert isinstance(network, ForestNetwork)
    network.forest.plant([tree_of(tree.tree_, np.array([0, 2]), 3) for tree in forest])
    with torch.inference_mode():
        said = network(picture)[0].softmax(dim=0).flatten(1).T.numpy()
    np.testing.assert_allclose(said[:, [0, 2]], forest.predict_proba(features), atol=1e-5)
    assert said[:, 1].max() < 1e-4


def test_trees_that_are_not_there_yet_do_not_vote(picture: torch.Tensor, features: np.ndarray):
    forest = grown(features, trees=2)
    trees = [tree_of(tree.tree_, np.array([0, 2]), 3) for tree in forest]
    whole, half = (build("random_forest", classes=3, trees=n, leaves=24, depth=6) for n in (2, 5))
    for network in (whole, half):
        assert isinstance(network, ForestNetwork)
        network.forest.plant(trees)
    with torch.inference_mode():
        torch.testing.assert_close(half(picture).softmax(dim=1), whole(picture).softmax(dim=1))


def test_a_forest_refuses_trees_it_has_no_room_for(features: np.ndarray):
    trees = [tree_of(tree.tree_, np.array([0, 2]), 3) for tree in grown(features)]
    network = build("random_forest", classes=3, trees=6, leaves=4, depth=6)
    assert isinstance(network, ForestNetwork)
    with pytest.raises(ValueError, match="for a forest of trees with 7"):
        network.forest.plant(trees)
    with pytest.raises(ValueError, match="7 trees for a forest of 6"):
        network.forest.plant([*trees, trees[0]])


def test_onnxruntime_sees_what_torch_sees(
    picture: torch.Tensor, features: np.ndarray, classes: ClassList, tmp_path: Path, monkeypatch
):
    """On the features of two scales; those of the others are made in the same way, and take half a minute."""
    monkeypatch.setattr(hand_made, "SCALES", 2)
    known = features[:, : 3 + 2 * hand_made.PER_SCALE]
    network = build("random_forest", classes=3, trees=6, leaves=24, depth=6)
    assert isinstance(network, ForestNetwork)
    network.forest.plant([tree_of(tree.tree_, np.array([0, 2]), 3) for tree in grown(known)])
    header = header_for(network.eval(), classes=classes, tile=48)
    session = onnxruntime.InferenceSession(export_onnx(network, header, tmp_path / "forest.onnx"))
    pixels = torch.nn.functional.pad(picture, (0, 0, 0, 12), mode="replicate")[..., :48, :48].numpy()
    found = session.run(["logits"], {"pixels": np.concatenate([pixels, pixels[..., ::-1]])})[0]
    with torch.inference_mode():
        expected = network(torch.from_numpy(pixels)).numpy()
    np.testing.assert_allclose(found[:1], expected, atol=1e-4)


def test_features_tell_brightness_edges_blobs_and_ridges():
    dark = torch.full((1, 3, 200, 200), 40.0)
    ridge = dark.clone()
    ridge[..., 98:102] = 200.0  # a vertical bright line
    found = HandMadeFeatures()(ridge)[0][0]  # (59, 200, 200)
    assert found.shape[0] == CHANNELS
    plain = HandMadeFeatures()(dark)[0][0]
    assert torch.equal(plain[0], torch.full((200, 200), 40.0))
    assert not plain[6::8].any()  # no gradient anywhere
    at = found[:, 100, 99]
    first = 3  # of the first scale: brightness, two colours, gradient, Laplacian, eigenvalues, roughness
    assert at[first] > 150
    assert at[first + 4] < -20
    assert at[first + 6] < -20 <= at[first + 5]  # curved across the line, and not along it
    assert found[first + 3, 100, 97] > 20


def test_features_are_kept_to_a_sixteenth_and_reach_as_far_as_they_say():
    random = torch.Generator().manual_seed(1)
    picture = torch.randint(0, 256, (1, 3, 8, 2 * REACH + 60), generator=random).float()
    features = HandMadeFeatures()(picture)[0]
    assert torch.equal(features * FINENESS, (features * FINENESS).round())
    part = HandMadeFeatures()(picture[..., 20 : 20 + 2 * REACH + 21])[0]
    assert torch.equal(part[..., REACH : REACH + 21], features[..., 20 + REACH : 20 + REACH + 21])
