"""The deep network of a run of both learners, whose best weights may be one file of both by now."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from core.learning.runs.header import WeightsHeader
from core.learning.runs.run_folder import RunFolder
from core.learning.runs.weights import load_weights
from core.models.blend import BlendNetwork
from core.models.instant import InstantNetwork
from core.models.network import SegmentationNetwork


@dataclass(frozen=True, slots=True)
class DeepPart:
    """A run's best deep network.

    Attributes:
        network: on the CPU, in evaluation mode.
        header: what is true of it; scores in it are those of the whole file.
        whole: the run's best weights are this network and nothing else.
    """

    network: SegmentationNetwork
    header: WeightsHeader
    whole: bool


def kept_aside(run: RunFolder) -> Path:
    """Where the deep network's best weights are while the instant learner alone is the better one."""
    return run.path / "deep.safetensors"


def best_deep_part(run: RunFolder) -> DeepPart:
    """Also where an earlier end of the run has joined it with the instant learner, or put it aside.

    A run without a deep network has the instant learner's.

    Raises:
        WeightsFileError: there are no best weights, or they are damaged.
    """
    network, header = load_weights(run.best_weights)
    whole = True
    if isinstance(network, InstantNetwork) and kept_aside(run).is_file():
        network, header = load_weights(kept_aside(run))
        whole = False
    if isinstance(network, BlendNetwork):
        network, whole = network.deep, False
    header = replace(
        header, architecture=network.architecture, encoder=network.encoder_name, options=network.options
    )
    return DeepPart(network, header, whole)
