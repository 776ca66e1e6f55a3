"""What the window asks about networks: what one is made of, and what it makes of the image on show.

Answered in pieces between more urgent work; a newer question takes the place of an older one of its kind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from core.annotation.model import ClassList
from core.errors import MaskloopError
from core.images.reader import image_size
from core.learning.answers import ModelExplained, ModelMaps
from core.learning.commands import ExplainModel, ShowMaps
from core.learning.config import AUTO_MODEL, DEFAULT_MODEL
from core.learning.events import Event
from core.learning.explain.blend import BLEND, same_deep_network
from core.learning.explain.explained import Pictures
from core.learning.explain.network import explaining
from core.learning.explain.trace import Recorder
from core.learning.labels.data import LabelStore, read_resized
from core.learning.runs.header import WeightsHeader, read_header
from core.learning.runs.run_folder import RunFolder
from core.learning.runs.weights import header_for, load_weights
from core.learning.settings.preset import resolve
from core.models.blend import BlendNetwork
from core.models.network import Normalize, SegmentationNetwork
from core.models.random_forest import ForestNetwork
from core.models.registry import build, encoder_spec, model_spec

MOST_CHANNELS: Final = 24
"""Of a block's maps, those that vary most are shown."""
SHOWN_SIDE: Final = 160
"""Pixels of a shown map's longer side, at most."""
CUT: Final = 0.01
"""Share of the darkest and of the lightest values that are shown as black and as white."""
UNTRAINED: Final = "untrained: no run has this network yet"
UNTRAINED_ON_PRETRAINED: Final = "pretrained encoder, the rest untrained: no run has this network yet"


class Explainer:
    """Answers one question at a time.

    Args:
        send: passes an event to the window.
    """

    def __init__(self, send: Callable[[Event], None]) -> None:
        self._send = send
        self._waiting: dict[type, Iterator[None]] = {}
        self._loaded: tuple[Path, float, SegmentationNetwork, WeightsHeader] | None = None
        self._stage = ""  # as far as its training in stages had come, where that is not the end

    def explain(self, question: ExplainModel, store: LabelStore | None) -> None:
        """Take a question, about the classes and images of a project if one is open.

        Maps of what was asked about before are not waited for any more.
        """
        self._waiting.pop(ShowMaps, None)
        self._waiting[ExplainModel] = self._explained(_of_registry(question), store)

    def show(
        self, question: ShowMaps, classes: ClassList, runs: list[RunFolder], store: LabelStore | None = None
    ) -> None:
        """Take a question about an image of a project with these classes, runs (newest last) and labels."""
        asked = replace(question, model=_of_registry(question.model))
        self._waiting[ShowMaps] = self._shown(asked, classes, runs, store)

    def forget(self) -> None:
        """Another project: nobody waits for the answers."""
        self._waiting.clear()
        self._loaded = None

    def tick(self) -> bool:
        """Do one piece of work; False when there is none."""
        kind = next(iter(self._waiting), None)
        if kind is None:
            return False
        work = self._waiting[kind]
        try:
            next(work)
        except StopIteration:
            self._waiting.pop(kind, None)
        except BaseException:
            self._waiting.pop(kind, None)
            raise
        return True

    # --- what it is made of -------------------------------------------------------------------------------

    def _explained(self, asked: ExplainModel, store: LabelStore | None) -> Iterator[None]:
        classes, scale = 2, 1.0
        if store is not None:
            classes, scale = max(1, len(store.classes)), _scale_of(asked, store)
        answer = ModelExplained(name=asked.name, encoder=asked.encoder, tile=asked.tile, scale=scale)
        try:
            explanation = yield from explaining(
                asked.name,
                tile=asked.tile,
                classes=classes,
                encoder=asked.encoder,
                options=dict(asked.options),
            )
        except MaskloopError as error:
            self._send(replace(answer, problem=str(error)))
            return
        self._send(replace(answer, explanation=explanation))

    # --- what it makes of an image ------------------------------------------------------------------------

    def _shown(
        self, asked: ShowMaps, classes: ClassList, runs: list[RunFolder], store: LabelStore | None
    ) -> Iterator[None]:
        answer = ModelMaps(name=asked.model.name, key=asked.key, maps=asked.maps)
        try:
            network, header, source = self._network(asked.model, classes, runs, store)
            yield
            pixels, box = _piece(Path(asked.image_path), asked.at_xy, asked.model.tile, header.scale)
            yield
            features, scores = maps_of(network, pixels, asked.maps)
        except MaskloopError as error:
            self._send(replace(answer, problem=str(error)))
            return
        probabilities = scores.softmax(dim=0).mul(255).round()
        answer = replace(
            answer,
            source=source,
            box=box,
            scores=_pictures(probabilities),
            classes=header.classes,
        )
        if features is not None:
            spread = features.flatten(1).std(dim=1, correction=0)
            chosen = spread.argsort(descending=True, stable=True)[:MOST_CHANNELS].sort().values
            answer = replace(
                answer,
                shape=(features.shape[0], features.shape[1], features.shape[2]),
                features=_pictures(_stretched(features[chosen])),
                channels=tuple(chosen.tolist()),
            )
        self._send(answer)

    def _network(
        self, asked: ExplainModel, classes: ClassList, runs: list[RunFolder], store: LabelStore | None
    ) -> tuple[SegmentationNetwork, WeightsHeader, str]:
        """The network as the newest run that has it left it, else untrained; and which of these it is."""
        for run in reversed(runs):
            try:
                about = read_header(run.best_weights) if run.best_weights.is_file() else None
                if about is None or not _may_hold(about, asked):
                    continue
                network, header = self._load(run.best_weights)
            except MaskloopError:
                continue  # a damaged run is no reason to show nothing
            part = _part(network, asked)
            if part is not None:
                told = f", trained as far as {self._stage}" if self._stage and len(part.stages()) > 1 else ""
                return part, header, run.spoken_name() + told
        network = build(
            asked.name, classes=max(1, len(classes)), encoder=asked.encoder, **dict(asked.options)
        )
        source = UNTRAINED
        if encoder_spec(network.encoder_name).source == "embedded":  # nothing is downloaded for a look
            network.load_encoder_weights("default")
            source = UNTRAINED_ON_PRETRAINED
        scale = 1.0 if store is None else _scale_of(asked, store)
        return network.eval(), header_for(network, classes=classes, tile=asked.tile, scale=scale), source

    def _load(self, path: Path) -> tuple[SegmentationNetwork, WeightsHeader]:
        """Weights, read again only when they have changed."""
        changed = path.stat().st_mtime
        if self._loaded is None or self._loaded[:2] != (path, changed):
            network, header = load_weights(path)
            self._stage = _made_whole(network.deep if isinstance(network, BlendNetwork) else network)
            self._loaded = path, changed, network, header
        return self._loaded[2], self._loaded[3]


@torch.no_grad()  # as the trace: in inference mode torch dispatches other operations
def maps_of(
    network: SegmentationNetwork, pixels: NDArray[np.uint8], maps: int
) -> tuple[Tensor | None, Tensor]:
    """Maps (C, h, w) that a block gives for pixels (H, W, 3), None if it gives none; scores (classes, H, W).

    Args:
        network: in evaluation mode, on the CPU.
        pixels: RGB.
        maps: of which block: `Block.maps`.
    """
    tensor = torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1)[None]
    picture = Normalize(network.normalization)(tensor)
    recorder = Recorder(network, picture, keep=False)
    if isinstance(network, ForestNetwork):
        network.in_bands = False  # the maps of a band would be those of a part
    with recorder.following(network), recorder:
        scores = network(picture)
    recorder.finish(scores)
    found = recorder.maps.get(maps)
    return (None if found is None else found[0].float()), scores[0].float()


def _of_registry(asked: ExplainModel) -> ExplainModel:
    """Of both learners, the deep one."""
    return replace(asked, name=DEFAULT_MODEL) if asked.name == AUTO_MODEL else asked


def _scale_of(asked: ExplainModel, store: LabelStore) -> float:
    """At which a run of that network would see these images."""
    config = replace(
        asked.config, model=AUTO_MODEL if asked.name == BLEND else asked.name, encoder=asked.encoder
    )
    on_gpu = config.device != "cpu" and torch.cuda.is_available()
    return resolve(config, "cuda" if on_gpu else "cpu", store).image_scale or 1.0


def _made_whole(network: SegmentationNetwork) -> str:
    """Let parts that a training in stages had not come to take their place, so that it is as its diagram.

    They begin so that they change nothing.

    Returns:
        The stage that it had come to; "" where that is the last.
    """
    last = network.stages()[-1]
    stage = network.options.get("stage", last)
    if stage == last:
        return ""
    network.enter_stage(last)
    return str(stage)


def _may_hold(header: WeightsHeader, asked: ExplainModel) -> bool:
    return header.architecture in (asked.name, "blend")


def _part(network: SegmentationNetwork, asked: ExplainModel) -> SegmentationNetwork | None:
    """What of weights is the network that is asked about: all, one side of a blend, or nothing."""
    encoder = asked.encoder or model_spec(asked.name).default_encoder
    parts = [network, network.deep, network.instant] if isinstance(network, BlendNetwork) else [network]
    for part in parts:
        stands = part.encoder_name == encoder or isinstance(part, BlendNetwork)  # whose options tell
        if part.architecture == asked.name and stands and _is_built_so(part, asked):
            return part
    return None


def _is_built_so(network: SegmentationNetwork, asked: ExplainModel) -> bool:
    """Whether it has the options that are asked about; what a run chose or noted itself may be otherwise."""
    spec, named = model_spec(asked.name), dict(asked.options)
    if isinstance(network, BlendNetwork):
        return same_deep_network(network.options, spec.checked_options(named))
    values = spec.checked_options(named)
    return all(
        network.options.get(option.name, values[option.name]) == values[option.name]
        for option in spec.options
        if not option.noted and (option.name in named or option.name != "views")
    )


def _piece(
    path: Path, at_xy: tuple[float, float] | None, side: int, scale: float
) -> tuple[NDArray[np.uint8], tuple[float, float, float, float]]:
    """A piece of an image, at most `side` pixels high and wide as the network sees it; and where it lies.

    Raises:
        ImageFileError: it cannot be read.
    """
    height, width = image_size(path)
    scaled = read_resized(path, scale)
    middle = (width / 2, height / 2) if at_xy is None else at_xy
    places = []
    for centre, length in zip(middle, (scaled.shape[1], scaled.shape[0]), strict=True):
        first = round(min(max(centre * scale - side / 2, 0), max(0, length - side)))
        places.append((first, min(length, first + side)))
    (left, right), (top, bottom) = places
    box = left / scale, top / scale, min(width, right / scale), min(height, bottom / scale)
    return scaled[top:bottom, left:right], box


def _stretched(maps: Tensor) -> Tensor:
    """Each of (C, h, w) from 0 to 255 between its darkest and its lightest values."""
    values = maps.flatten(1)
    step = max(1, values.shape[1] // 65_536)  # enough to know the extremes
    low, high = values[:, ::step].quantile(torch.tensor([CUT, 1 - CUT]), dim=1)[..., None, None]
    shown: Tensor = ((maps - low) / (high - low).clamp_min(1e-12)).clamp(0, 1).mul(255).round()
    return shown


def _pictures(maps: Tensor) -> Pictures:
    """Maps (C, h, w), 0..255, no larger than they are shown."""
    side = max(maps.shape[-2:])
    if side > SHOWN_SIDE:
        factor = SHOWN_SIDE / side
        size = tuple(max(1, round(length * factor)) for length in maps.shape[-2:])
        maps = F.interpolate(maps[None], size=size, mode="area")[0]
    found = maps.to(torch.uint8).numpy()
    return Pictures((found.shape[0], found.shape[1], found.shape[2]), found.tobytes())
