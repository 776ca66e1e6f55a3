"""Weights as one safetensors file that describes itself; what it says is in `header.py`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from core.annotation.model import ClassList, JsonValue
from core.errors import UsageError, WeightsFileError
from core.files import write_atomic
from core.learning.runs.header import METADATA_KEY, WeightsHeader, check_classes, read_header
from core.models.network import SegmentationNetwork
from core.models.registry import build

_REPLACE: Final = "use another file, or train again"

__all__ = ["WeightsHeader", "header_for", "load_weights", "read_header", "save_weights"]


def header_for(
    network: SegmentationNetwork,
    *,
    classes: ClassList,
    tile: int,
    scale: float = 1.0,
    metrics: Mapping[str, JsonValue] | None = None,
    data_digest: str = "",
    temperature: float = 1.0,
) -> WeightsHeader:
    """The header for a network as it is now."""
    return WeightsHeader(
        architecture=network.architecture,
        encoder=network.encoder_name,
        options=network.options,
        classes=classes,
        normalization=network.normalization,
        tile=tile,
        scale=scale,
        metrics=metrics or {},
        data_digest=data_digest,
        temperature=temperature,
    )


def save_weights(path: Path, network: SegmentationNetwork, header: WeightsHeader) -> None:
    """Write network and header as one file, atomically. Raises StorageError."""
    if len(header.classes) != network.classes:
        raise ValueError(f"{network.classes} channels cannot stand for {len(header.classes)} classes")
    # How far training in stages has come may have changed since the header was made.
    header = replace(header, options=network.options, normalization=network.normalization)
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    write_atomic(path, safetensors.torch.save(tensors, {"format": "pt", METADATA_KEY: header.to_json()}))


def load_weights(
    path: Path, *, classes: ClassList | None = None
) -> tuple[SegmentationNetwork, WeightsHeader]:
    """Build the network a file describes and fill it; on the CPU, in evaluation mode.

    Args:
        path: written by `save_weights`.
        classes: what the weights must be for; None takes any.

    Raises:
        WeightsFileError: damaged, of another program, of another class list, or of an unknown network.
    """
    header = read_header(path)
    if classes is not None:
        check_classes(path, header, classes)
    try:
        network = build(
            header.architecture, classes=len(header.classes), encoder=header.encoder, **header.options
        )
    except UsageError as error:
        raise WeightsFileError(path, f"holds a network this program cannot build: {error}") from error
    try:
        tensors = safetensors.torch.load_file(path)
    except (SafetensorError, OSError) as error:
        raise WeightsFileError(path, f"is damaged ({error})") from error
    _check_shapes(path, network.state_dict(), tensors)
    # Not strict: the network knows what files of before may lack.
    missing, unknown = network.load_state_dict(tensors, strict=False)
    for name in missing:
        raise WeightsFileError(path, f"is damaged: the tensor {name} is missing; {_REPLACE}")
    for name in unknown:
        raise WeightsFileError(path, f"is damaged: its network has no tensor {name}; {_REPLACE}")
    network.normalization = header.normalization
    network.encoder.pretrained = True
    network.eval()
    return network, header


def _check_shapes(path: Path, wanted: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> None:
    """Raise WeightsFileError naming the first tensor that does not fit."""
    for name, tensor in wanted.items():
        if name in found and tensor.shape != found[name].shape:
            here, there = tuple(tensor.shape), tuple(found[name].shape)
            raise WeightsFileError(
                path, f"is damaged: the tensor {name} is {there}, it should be {here}; {_REPLACE}"
            )
