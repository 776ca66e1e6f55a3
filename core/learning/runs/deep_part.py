"""The deep network of a run of both learners, whose best weights may be one file of both by now.

::

    best.safetensors    what predicts: the deep network; or both learners, joined at the end of the run
    deep.safetensors    the deep network beside a joined file that is without it, or with an older one
    last.ckpt           where the deep network goes on from; the score in it is the deep network's alone

A run that goes on therefore never loses what its earlier end has joined, until something scores better.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace

from core.errors import WeightsFileError
from core.learning.runs.header import WeightsHeader, read_header
from core.learning.runs.run_folder import BestScore, RunFolder, score_kind
from core.learning.runs.weights import load_weights, save_weights
from core.models.blend import BlendNetwork
from core.models.instant import InstantNetwork
from core.models.network import SegmentationNetwork


@dataclass(frozen=True, slots=True)
class DeepPart:
    """A run's best deep network.

    Attributes:
        network: on the CPU, in evaluation mode.
        header: what is true of it; scores in it are those of the file that it is in.
        whole: the run's best weights are this network and nothing else.
    """

    network: SegmentationNetwork
    header: WeightsHeader
    whole: bool


def best_deep_part(run: RunFolder) -> DeepPart:
    """Also where an earlier end of the run has joined it with the instant learner, or put it aside.

    A run without a deep network has the instant learner's.

    Raises:
        WeightsFileError: there are no best weights, or they are damaged.
    """
    network, header = load_weights(run.best_weights)
    whole = True
    if run.deep_weights.is_file() and _is_without(run, network, header):
        network, header = load_weights(run.deep_weights)
        whole = False
    elif isinstance(network, BlendNetwork):
        network, whole = network.deep, False
    header = replace(
        header, architecture=network.architecture, encoder=network.encoder_name, options=network.options
    )
    return DeepPart(network, header, whole)


def save_deep_part(run: RunFolder, network: SegmentationNetwork, header: WeightsHeader) -> bool:
    """Save what the run has trained and found best so far.

    Returns:
        Whether these are the run's best weights now; False: they are kept aside, for an earlier end of the
        run has joined both learners, and that scored as well at least.

    Raises:
        StorageError: they cannot be written.
    """
    if _joined_is_better(run, header):
        save_weights(run.deep_weights, network, header)
        return False
    save_weights(run.best_weights, network, header)
    _forget_aside(run)
    return True


def save_joined(run: RunFolder, network: SegmentationNetwork, header: WeightsHeader, part: DeepPart) -> None:
    """Save what both learners come to, and beside it its deep `part` where it is without that.

    Raises:
        StorageError: one of the two cannot be written.
    """
    without = isinstance(network, InstantNetwork)
    if without:
        save_weights(run.deep_weights, part.network, part.header)
    save_weights(run.best_weights, network, header)
    if not without:
        _forget_aside(run)


def joined_weights(run: RunFolder, deep: WeightsHeader) -> WeightsHeader | None:
    """The header of the run's best weights where an end of it has joined both learners in them.

    None where they are the `deep` network that the run trains, or there are none.
    """
    try:
        left = read_header(run.best_weights)
    except WeightsFileError:
        return None
    return None if left.architecture == deep.architecture else left


def _is_without(run: RunFolder, network: SegmentationNetwork, header: WeightsHeader) -> bool:
    """Whether best weights are without the deep network that lies beside them.

    Earlier versions of the program left one beside a blend that was joined later, of a newer one.
    """
    if isinstance(network, BlendNetwork):
        return _step(read_header(run.deep_weights)) > _step(header)
    return isinstance(network, InstantNetwork)


def _step(header: WeightsHeader) -> int:
    step = header.metrics.get("step")
    return step if isinstance(step, int) else 0


def _joined_is_better(run: RunFolder, deep: WeightsHeader) -> bool:
    left = joined_weights(run, deep)
    return left is not None and _rank(left) >= _rank(deep)


def _rank(header: WeightsHeader) -> tuple[bool, float]:
    """As runs are ranked; lowest without a score."""
    miou, on = header.metrics.get("miou"), score_kind(header.metrics.get("on"))
    return BestScore(miou, on or "training").rank if isinstance(miou, float) else (False, -1.0)


def _forget_aside(run: RunFolder) -> None:
    """The best weights have the deep network in them, or are nothing else."""
    with contextlib.suppress(OSError):
        run.deep_weights.unlink(missing_ok=True)
