"""What uncertainty can be taken from: mirrored looks, dropout left on, or several trained networks.

- tta: the image as it is and mirrored.
- mc_dropout: several passes with dropout on and everything else as usual, each another network of the same
  weights (Gal and Ghahramani 2016, arXiv:1506.02142; Bayesian SegNet, Kendall et al. 2015, arXiv:1511.02680).
- ensemble: networks of several runs (Lakshminarayanan et al. 2017, arXiv:1612.01474).

The entropy of the mean of all looks is the uncertainty (`core.learning.prediction.uncertainty`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Final, assert_never

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from core.errors import UsageError
from core.learning.prediction.looks import MIRRORED
from core.learning.prediction.predict import Predictor
from core.learning.prediction.uncertainty import UncertaintySource, Voice, tempered

PASSES: Final = 10
"""With dropout on; each takes as long as a prediction."""
_DROPOUT: Final = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout)


def dropouts(network: nn.Module) -> list[nn.Module]:
    """The network's dropout layers that drop anything."""
    return [module for module in network.modules() if isinstance(module, _DROPOUT) and module.p > 0]


def check_source(source: UncertaintySource, predictor: Predictor, others: Sequence[Predictor] = ()) -> None:
    """Raise UsageError, one sentence that says what works, where this network cannot be asked so."""
    name = predictor.header.architecture
    if source == "mc_dropout" and not dropouts(predictor.network):
        raise UsageError(f"{name} has no dropout, which mc_dropout leaves on: choose tta or ensemble")
    if source == "ensemble":
        if not others:
            raise UsageError(
                "an ensemble needs the weights of two or more runs of the same classes: train once more,"
                " or choose tta"
            )
        wanted = set(predictor.header.classes.indices)
        for other in others:
            if set(other.header.classes.indices) != wanted:
                raise UsageError("the networks of an ensemble must know the same classes: choose others")


def asked_again(
    source: UncertaintySource,
    predictor: Predictor,
    image: NDArray[np.uint8],
    *,
    others: Sequence[Predictor] = (),
    passes: int = PASSES,
) -> Voice:
    """All looks of a network, or of several, at an image (H, W, 3).

    The same image always gives the same looks. The state of torch's random numbers stays as it was.

    Raises:
        UsageError: see `check_source`.
        MaskloopError: there is not enough memory.
    """
    check_source(source, predictor, others)
    match source:
        case "tta":
            mirrored = MIRRORED.back(_asked(predictor, MIRRORED.of(image)))
            return Voice((_asked(predictor, image), mirrored), predictor.temperature)
        case "mc_dropout":
            looks = looks_dropping(
                predictor.network, predictor.device, lambda: _asked(predictor, image), passes=passes
            )
            return Voice(looks, predictor.temperature)
        case "ensemble":
            indices = predictor.header.classes.indices
            members = (predictor, *others)
            return Voice(tuple(_in_order(member, image, indices) for member in members))
        case _:
            assert_never(source)


def looks_dropping(
    network: nn.Module,
    device: torch.device,
    ask: Callable[[], NDArray[np.float16]],
    *,
    passes: int = PASSES,
) -> tuple[NDArray[np.float16], ...]:
    """What `ask` says (C, H, W) in so many passes while the network's dropout is on.

    Of the instant learner only the head drops anything, so that its features are computed once: `ask` then
    asks `InstantLearner.predict` about them.
    """
    with _dropping(network, device):
        return tuple(ask() for _ in range(passes))


def _asked(predictor: Predictor, image: NDArray[np.uint8]) -> NDArray[np.float16]:
    probabilities = predictor.predict(image, probabilities=True).probabilities
    assert probabilities is not None
    return probabilities


def _in_order(predictor: Predictor, image: NDArray[np.uint8], indices: Sequence[int]) -> NDArray[np.float16]:
    """Probabilities at the member's own temperature, channels in this order."""
    own = predictor.header.classes.indices
    shares = _asked(predictor, image)[[own.index(index) for index in indices]]
    return tempered(shares, predictor.temperature).astype(np.float16)


@contextlib.contextmanager
def _dropping(network: nn.Module, device: torch.device) -> Iterator[None]:
    """In it dropout layers drop, though the network is in evaluation mode."""
    layers = dropouts(network)
    # `Predictor` puts the network into evaluation mode, so each layer is told just before its turn.
    hooks = [layer.register_forward_pre_hook(_drop) for layer in layers]
    states = [layer.training for layer in layers]
    try:
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            torch.manual_seed(0)
            yield
    finally:
        for hook, layer, training in zip(hooks, layers, states, strict=True):
            hook.remove()
            layer.train(training)


def _drop(layer: nn.Module, _inputs: object) -> None:
    layer.train()
