"""Weights and ONNX files for other programs. What is exported is checked before it is called exported.

Beside ONNX files lies `predict.py`, a program that runs them: the module `predict_onnx`, as it is. Both kinds
of file say which post-processing was on (`post` of the header): it is no part of a network.
"""

from __future__ import annotations

import contextlib
import copy
import importlib.resources
import io
import json
import logging
import mmap
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from core.annotation.model import ClassList
from core.errors import MaskloopError, StorageError
from core.files import write_atomic
from core.learning.prediction.postprocessed import check_classes_for
from core.learning.runs.header import METADATA_KEY, WeightsHeader, as_called_now, gone_classes, with_header
from core.learning.runs.run_folder import RunFolder
from core.learning.runs.weights import load_weights
from core.models.network import Normalize, SegmentationNetwork
from core.postprocess.pipeline import Pipeline

MIN_SAME_CLASS: Final = 0.999
"""Share of pixels that onnxruntime must give torch's class."""
MAX_LOGIT_DIFFERENCE: Final = 1e-3
"""Largest difference of a logit, as a share of the largest logit where that is above 1."""
ROUNDING: Final = 2.0
"""Where it is larger: how much further from exact numbers onnxruntime may be than torch itself is."""
CHECKED_BATCH: Final = 2
NO_POST: Final = Pipeline()
SCRIPT: Final = "predict.py"
"""What lies beside ONNX files."""


class _WithNormalization(nn.Module):
    """Raw RGB in, logits out: users of the ONNX file need not know how the encoder was trained."""

    def __init__(self, network: SegmentationNetwork, header: WeightsHeader) -> None:
        super().__init__()
        self.normalize = Normalize(header.normalization)
        self.network = network
        self.temperature = header.temperature

    def forward(self, pixels: Tensor) -> Tensor:
        logits: Tensor = self.network(self.normalize(pixels))
        return logits if self.temperature == 1.0 else logits / self.temperature


def export_run(
    run: RunFolder,
    export_format: str,
    out: Path,
    *,
    classes: ClassList | None = None,
    post: Pipeline = NO_POST,
) -> Path:
    """A run's best weights as "weights" or "onnx" in the folder `out`, or the file `out` of that suffix.

    See the two functions below.
    """
    if export_format == "weights":
        return export_weights(run, out, classes=classes, post=post)
    network, header = load_weights(run.best_weights)
    header = _called_now(run, header, classes)
    is_name = out.suffix == ".onnx" and not out.is_dir()
    return export_onnx(network, header, out if is_name else out / f"{run.path.name}.onnx", post=post)


def _called_now(run: RunFolder, header: WeightsHeader, classes: ClassList | None) -> WeightsHeader:
    """With the names of today; where a class is gone, all as they were when it was learned."""
    if classes is None or gone_classes(header, classes):
        return header
    return as_called_now(run.best_weights, header, classes)


def export_weights(
    run: RunFolder, out: Path, *, classes: ClassList | None = None, post: Pipeline = NO_POST
) -> Path:
    """Copy a run's best weights, after checking them, into a folder (or to a `.safetensors` path).

    Args:
        run: whose weights.
        out: where to.
        classes: the project's as they are called now; None: as the run knew them.
        post: post-processing that goes with them, noted in the copy's header.

    Raises:
        WeightsFileError: there are none, or they are damaged.
        UsageError: post-processing that these classes do not allow.
        StorageError: the copy cannot be written, or somebody's own file has its name.
    """
    source = run.best_weights
    _, header = load_weights(source)
    header = _called_now(run, header, classes)
    check_classes_for(post, header.classes)
    target = out if out.suffix == ".safetensors" else out / f"{run.path.name}.safetensors"
    _check_free(target, METADATA_KEY.encode())
    write_atomic(target, with_header(source, replace(header, post=str(post))))
    return target


def export_onnx(
    network: SegmentationNetwork, header: WeightsHeader, path: Path, *, post: Pipeline = NO_POST
) -> Path:
    """Write the network as one ONNX file, once onnxruntime has given the same classes as torch.

    `predict.py` is put beside it.

    Input `pixels` (N, 3, T, T) float32: RGB 0..255, resized by the header's `scale`, T the header's tile;
    N is free. Output `logits` (N, C, T, T), divided by the header's temperature already. Classes and all the
    rest of the header are in the file's metadata. The tile is fixed because graphs with free height and width
    have been wrong away from the size they were traced at. `post` is noted, and done by `predict.py` as far
    as that can.

    Raises:
        UsageError: post-processing that these classes do not allow.
        MaskloopError: the network cannot be expressed, or onnxruntime computes something else.
        StorageError: the file cannot be written, or somebody's own file has its name.
    """
    check_classes_for(post, header.classes)
    header = replace(header, post=str(post))
    script = importlib.resources.files("core.learning").joinpath("predict_onnx.py").read_bytes()
    _check_free(path, METADATA_KEY.encode())
    _check_free(path.with_name(SCRIPT), script.partition(b"\n")[0])
    network.to("cpu").eval()
    module = _WithNormalization(network, header).eval()
    side = -(-header.tile // network.size_multiple) * network.size_multiple
    example = _test_image(side)
    try:
        model = _onnx_bytes(module, torch.from_numpy(example), header, side)
        session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
        found = session.run(["logits"], {"pixels": example})[0]
    except StorageError:
        raise
    except Exception as error:  # exporter and runtime raise dozens of types of their own
        raise MaskloopError(
            f"{path}: {header.architecture} could not be exported to ONNX ({_reason(error)})"
        ) from error
    with torch.inference_mode():
        expected = module(torch.from_numpy(example))
    _compare(path, np.asarray(expected), np.asarray(found), partial(_exact, module, example))
    write_atomic(path, model)
    write_atomic(path.with_name(SCRIPT), script)
    return path


def _check_free(target: Path, mark: bytes) -> None:
    """Raise StorageError for somebody's own file: it lacks the mark that exports carry as plain text."""
    if not target.exists():
        return
    try:
        with target.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            if content.find(mark) >= 0:
                return
    except (OSError, ValueError):  # unreadable, a folder, empty
        pass
    raise StorageError(target, "was there before and is not from an export; choose an empty folder")


def _onnx_bytes(module: nn.Module, example: Tensor, header: WeightsHeader, side: int) -> bytes:
    batch = torch.export.Dim("batch", min=1, max=1024)
    with _quiet(), torch.inference_mode():
        program = torch.onnx.export(
            module,
            (example,),
            dynamo=True,
            input_names=["pixels"],
            output_names=["logits"],
            dynamic_shapes=({0: batch},),
            external_data=False,
            verbose=False,
        )
    if program is None:
        raise RuntimeError("the exporter gave nothing back")
    model = program.model_proto
    # The exporter notes the Python line of every node, with the paths of this computer.
    for part in (model, *model.graph.node, *model.graph.value_info, *model.graph.input, *model.graph.output):
        part.ClearField("metadata_props")
    for key, value in _metadata(header, side).items():
        model.metadata_props.add(key=key, value=value)
    data: bytes = model.SerializeToString()
    return data


def _reason(error: BaseException) -> str:
    """First line of the innermost cause: the exporter wraps it in coloured advice for developers."""
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error).strip().partition("\n")[0] or type(error).__name__


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's remarks to its own developers off the terminal."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)


def _metadata(header: WeightsHeader, side: int) -> dict[str, str]:
    """What a program needs that has only the ONNX file."""
    classes = [
        {"channel": k, "index": c.index, "name": c.name, "color": c.color}
        for k, c in enumerate(header.classes)
    ]
    return {
        "classes": json.dumps(classes, ensure_ascii=False),
        "input": f"RGB 0-255, float32 (N, 3, {side}, {side}), image resized by {header.scale:g}",
        "output": "logits (N, C, H, W); argmax over C is a channel of classes, softmax its probability",
        "scale": f"{header.scale:g}",
        "tile": str(side),
        "post": header.post,
        "background": json.dumps(header.classes.background),
        METADATA_KEY: header.to_json(),
    }


def _test_image(side: int) -> NDArray[np.float32]:
    """Two images (2, 3, side, side), 0..255: smooth shades and edges, as pictures have, and some noise."""
    random = np.random.default_rng(0)
    y, x = np.mgrid[0:side, 0:side] / side
    phases = random.uniform(0, 6.28, size=(CHECKED_BATCH, 3, 1, 1))
    waves = np.sin(9 * x + phases) + np.sin(7 * y + 2 * phases) + np.sign(np.sin(23 * (x + y) + phases))
    pixels = 127.5 + 40 * waves + random.normal(0, 8, size=(CHECKED_BATCH, 3, side, side))
    return np.asarray(pixels.clip(0, 255), dtype=np.float32)


def _exact(module: nn.Module, example: NDArray[np.float32]) -> NDArray[np.float64]:
    """Logits in double precision."""
    with torch.inference_mode():
        logits: Tensor = copy.deepcopy(module).double()(torch.from_numpy(example).double())
    return np.asarray(logits, dtype=np.float64)


def _compare(
    path: Path,
    expected: NDArray[np.float32],
    found: NDArray[np.float32],
    exact: Callable[[], NDArray[np.float64]],
) -> None:
    """Raise MaskloopError unless both are the same network.

    Deep networks can make the rounding of their first layers thousands of times larger, and an unpooling puts
    a number elsewhere where two were all but equal. So a difference that is too large is held against what
    torch's own single precision costs.
    """
    if found.shape != expected.shape:
        raise MaskloopError(f"{path}: onnxruntime gives {found.shape} where torch gives {expected.shape}")
    same = float((expected.argmax(axis=1) == found.argmax(axis=1)).mean())
    difference = float(np.abs(expected - found).max()) / max(1.0, float(np.abs(expected).max()))
    if same >= MIN_SAME_CLASS and (
        difference <= MAX_LOGIT_DIFFERENCE or _only_rounded(expected, found, exact())
    ):
        return
    raise MaskloopError(
        f"{path}: not written, because onnxruntime computes something else than torch:"
        f" {same:.2%} of the pixels have the same class, logits differ by {difference:.2g}"
    )


def _only_rounded(
    expected: NDArray[np.float32], found: NDArray[np.float32], exact: NDArray[np.float64]
) -> bool:
    return bool(np.abs(found - exact).max() <= ROUNDING * np.abs(expected - exact).max())
