"""Pretrained weights: the bundled ones, files, downloads, and what is said when they cannot be had."""

from __future__ import annotations

import errno
import hashlib
import http.client
import http.server
import multiprocessing
import ssl
import sys
import threading
import time
import urllib.error
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import timm
import torch
from filelock import FileLock
from huggingface_hub.errors import HTTPError
from PIL import Image
from safetensors.torch import save_file

from core.annotation.model import ClassList
from core.errors import EncoderDownloadError, UsageError, WeightsFileError
from core.learning.runs.weights import header_for, save_weights
from core.models import pretrained
from core.models.downloads import malformed_hub
from core.models.encoders import build_encoder
from core.models.network import Normalize
from core.models.normalization import IMAGENET, SYMMETRIC, Normalization, parse_description
from core.models.pretrained import download, embedded_file, load_encoder_weights, read_weights_file
from core.models.registry import build

BUSES = {654, 779, 874}
"""ImageNet's minibus, school bus, trolleybus."""


# --- the bundled encoder ----------------------------------------------------------------------------------


def test_the_bundled_weights_fit_name_by_name():
    """The package has other names in the same order: batch norms must meet batch norms."""
    ours = timm.create_model("tf_efficientnet_lite0").state_dict()
    theirs, _ = read_weights_file(embedded_file())
    assert [t.shape for t in ours.values()] == [t.shape for t in theirs.values()]
    assert [n.rsplit(".", 1)[-1] for n in ours] == [n.rsplit(".", 1)[-1] for n in theirs]


def test_the_bundled_encoder_recognises_a_bus(shared_data: Path):
    photo = shared_data / "labelme/semantic_segmentation/data_dataset_voc/JPEGImages/2011_000025.jpg"
    image = np.asarray(Image.open(photo).convert("RGB").resize((224, 224)))
    network = build("unet", classes=2).eval()
    network.load_encoder_weights("default")
    assert network.pretrained
    pixels = torch.from_numpy(image.copy()).permute(2, 0, 1)[None]
    x = Normalize(network.normalization)(pixels)
    classifier = timm.create_model("tf_efficientnet_lite0").eval()
    weights, _ = read_weights_file(embedded_file())
    classifier.load_state_dict(dict(zip(classifier.state_dict(), weights.values(), strict=True)))
    with torch.inference_mode():
        coarsest = network.encoder(x)[-1]
        torch.testing.assert_close(coarsest, classifier.blocks(classifier.bn1(classifier.conv_stem(x))))
        assert classifier(x).argmax().item() in BUSES


def test_none_leaves_random_weights():
    network = build("unet", classes=2)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    network.load_encoder_weights("none")
    assert not network.pretrained
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_a_plain_encoder_has_no_default_weights():
    network = build("unet", classes=2, encoder="plain", encoder_width=2)
    network.load_encoder_weights("default")
    assert not network.pretrained


# --- files ------------------------------------------------------------------------------------------------


def test_vgg_weights_of_caffe_bring_their_own_normalisation(shared_weights: Path):
    network = build("fcn8s", classes=2, fc=16)
    assert network.normalization == IMAGENET
    network.load_encoder_weights(str(shared_weights / "vgg16_features_fp16.safetensors"))
    assert network.pretrained
    assert network.normalization == Normalization(
        order="bgr", scale=1.0, mean=(103.939, 116.779, 123.68), std=(1.0, 1.0, 1.0)
    )
    orange = torch.tensor([255, 128, 0], dtype=torch.uint8).view(1, 3, 1, 1)
    seen = Normalize(network.normalization)(orange).flatten()
    torch.testing.assert_close(seen, torch.tensor([0 - 103.939, 128 - 116.779, 255 - 123.68]))


def small_file(path: Path, extra: dict[str, torch.Tensor] | None = None) -> dict[str, torch.Tensor]:
    tensors = dict(build_encoder("plain", width=2).state_dict()) | (extra or {})
    torch.save(tensors, path)
    return tensors


def test_a_pth_file_fills_the_encoder(tmp_path: Path):
    tensors = small_file(tmp_path / "w.pth")
    encoder = build_encoder("plain", width=2)
    assert load_encoder_weights(encoder, str(tmp_path / "w.pth")) == {}
    assert all(torch.equal(tensors[name], value) for name, value in encoder.state_dict().items())
    assert encoder.normalization == SYMMETRIC


@pytest.mark.parametrize(
    "odd",
    [
        torch.full((2,), -torch.inf),
        torch.zeros(2, dtype=torch.complex64),
        torch.full((2,), 1e300, dtype=torch.float64),
        torch.zeros(2, device="meta"),
    ],
    ids=["infinite", "complex", "beyond float32", "without values"],
)
def test_tensors_that_nobody_asks_for_may_hold_anything(tmp_path: Path, odd: torch.Tensor):
    tensors = small_file(tmp_path / "w.pth", {"decoder.mask": odd, "decoder.bias": torch.ones(2)})
    encoder = build_encoder("plain", width=2)
    assert set(load_encoder_weights(encoder, str(tmp_path / "w.pth"))) == {"decoder.bias"}
    assert all(torch.equal(tensors[name], value) for name, value in encoder.state_dict().items())


@pytest.mark.parametrize("key", ["state_dict", "model"])
def test_a_training_scripts_checkpoint_with_its_weights_inside(tmp_path: Path, key: str):
    torch.save({key: build_encoder("plain", width=2).state_dict(), "epoch": 3}, tmp_path / "w.pth")
    encoder = build_encoder("plain", width=2)
    load_encoder_weights(encoder, str(tmp_path / "w.pth"))
    assert encoder.pretrained


def test_a_safetensors_file_is_known_however_its_ending_is_written(tmp_path: Path):
    save_file(build_encoder("plain", width=2).state_dict(), tmp_path / "W.SAFETENSORS")
    encoder = build_encoder("plain", width=2)
    load_encoder_weights(encoder, str(tmp_path / "W.SAFETENSORS"))
    assert encoder.pretrained


def test_fcn_takes_fc6_and_fc7_from_a_classifier_of_its_width(tmp_path: Path):
    classifier = {
        "classifier.0.weight": torch.randn(16, 32 * 7 * 7),
        "classifier.0.bias": torch.randn(16),
        "classifier.3.weight": torch.randn(16, 16),
        "classifier.3.bias": torch.randn(16),
    }
    small_file(tmp_path / "w.pth", classifier)
    network = build("fcn8s", classes=2, encoder="plain", encoder_width=2, fc=16)
    network.load_encoder_weights(str(tmp_path / "w.pth"))
    state = network.state_dict()
    assert torch.equal(state["fc6.weight"].flatten(1), classifier["classifier.0.weight"])
    assert torch.equal(state["fc7.weight"].flatten(1), classifier["classifier.3.weight"])
    # What a convolution does on a 7 x 7 map at its centre is what the linear layer does.
    pool5 = torch.randn(1, 32, 7, 7)
    linear = pool5.flatten(1) @ classifier["classifier.0.weight"].T + classifier["classifier.0.bias"]
    torch.testing.assert_close(network.fc6(pool5)[0, :, 3, 3], linear[0], rtol=1e-3, atol=1e-3)

    small_file(tmp_path / "odd.pth", classifier | {"classifier.0.bias": torch.randn(17)})
    for fc, file in ((17, "w.pth"), (16, "odd.pth")):
        other = build("fcn8s", classes=2, encoder="plain", encoder_width=2, fc=fc)
        before = other.state_dict()["fc6.weight"].clone()
        other.load_encoder_weights(str(tmp_path / file))
        assert torch.equal(other.state_dict()["fc6.weight"], before)


def test_an_encoder_starts_from_a_network_this_program_saved(tmp_path: Path, classes: ClassList):
    network = build("unet", classes=3, encoder="plain", encoder_width=2, width=2)
    network.normalization = IMAGENET
    save_weights(tmp_path / "w.safetensors", network, header_for(network, classes=classes, tile=64))
    other = build("fcn8s", classes=2, encoder="plain", encoder_width=2, fc=16)
    other.load_encoder_weights(str(tmp_path / "w.safetensors"))
    assert all(
        torch.equal(a, b)
        for a, b in zip(network.encoder.parameters(), other.encoder.parameters(), strict=True)
    )
    assert other.normalization == IMAGENET


def _truncated(path: Path) -> None:
    small_file(path)
    path.write_bytes(path.read_bytes()[:500])


def _other_width(path: Path) -> None:
    torch.save(build_encoder("plain", width=4).state_dict(), path)


def _other_encoder(path: Path) -> None:
    torch.save({"conv1.weight": torch.zeros(64, 3, 7, 7)}, path)


def _with_code(path: Path) -> None:
    torch.save({"levels": print}, path)


def _text(path: Path) -> None:
    path.write_bytes(b".")


def _bytes(path: Path) -> None:
    path.write_bytes(b"q\0\0\0")


def _nothing(path: Path) -> None:
    path.touch()


FIRST = "levels.0.0.weight"


def _sparse(path: Path) -> None:
    small_file(path, {FIRST: torch.zeros(2, 3, 3, 3).to_sparse()})


def _quantised(path: Path) -> None:
    small_file(path, {FIRST: torch.quantize_per_tensor(torch.zeros(2, 3, 3, 3), 0.1, 0, torch.qint8)})


def _without_values(path: Path) -> None:
    small_file(path, {FIRST: torch.empty(2, 3, 3, 3, device="meta")})


def _without_end(path: Path) -> None:
    small_file(path, {FIRST: torch.full((2, 3, 3, 3), torch.inf)})


def _beyond_float32(path: Path) -> None:
    small_file(path, {FIRST: torch.full((2, 3, 3, 3), 1e300, dtype=torch.float64)})


def _no_numbers(path: Path) -> None:
    small_file(path, {"classifier.0.weight": torch.tensor([0.0, torch.nan])})


def _one_tensor(path: Path) -> None:
    torch.save(torch.zeros(3), path)


def _bad_safetensors(path: Path) -> None:
    path.with_suffix(".safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0no json")


def _odd_description(path: Path) -> None:
    tensors = {name: t.contiguous() for name, t in build_encoder("plain", width=2).state_dict().items()}
    save_file(tensors, path.with_suffix(".safetensors"), {"input": "YUV, somehow"})


@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor")
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "there is no such file"),
        (_truncated, "cannot be read as weights"),
        (
            _other_width,
            "does not fit the encoder plain: levels.0.0.weight is (4, 3, 3, 3) there and (2, 3, 3, 3)",
        ),
        (_other_encoder, "does not fit the encoder plain: it has no tensor levels.0.0.weight"),
        (_with_code, "holds more than numbers"),
        *((make, "is damaged or no file of weights") for make in (_text, _bytes, _nothing)),
        *(
            (make, f"holds the tensor {FIRST} sparse, quantised, complex or empty")
            for make in (_sparse, _quantised, _without_values)
        ),
        (_beyond_float32, f"holds values that are no numbers, in {FIRST}"),
        (_without_end, f"holds values that are no numbers, in {FIRST}"),
        (_no_numbers, "holds values that are no numbers, in classifier.0.weight"),
        (_one_tensor, "holds no table of named tensors"),
        (_bad_safetensors, "is damaged or no safetensors file"),
        (_odd_description, "the input description 'YUV, somehow' is not understood"),
    ],
)
def test_a_bad_file_gets_one_sentence_and_changes_nothing(tmp_path: Path, make, message: str):
    make(tmp_path / "w.pth")
    path = next(tmp_path.iterdir(), tmp_path / "w.pth")
    encoder = build_encoder("plain", width=2)
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    with pytest.raises(WeightsFileError) as error:
        load_encoder_weights(encoder, str(path))
    assert str(error.value).startswith(str(path))
    assert message in str(error.value)
    assert "\n" not in str(error.value)
    assert not encoder.pretrained
    assert all(torch.equal(before[name], value) for name, value in encoder.state_dict().items())


def test_a_file_that_the_memory_does_not_hold_is_not_called_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def too_large(*_args, **_options):
        raise MemoryError

    small_file(tmp_path / "w.pth")
    monkeypatch.setattr(torch, "load", too_large)
    with pytest.raises(MemoryError):
        load_encoder_weights(build_encoder("plain", width=2), str(tmp_path / "w.pth"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("RGB 0-1", Normalization(scale=1 / 255, mean=(0, 0, 0), std=(1, 1, 1))),
        (
            "RGB 0-1 minus (0.485,0.456,0.406) over (0.229,0.224,0.225)",
            Normalization(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)),
        ),
        ("BGR 0-255 minus (1, 2, 3)", Normalization(order="bgr", scale=1.0, mean=(1, 2, 3), std=(1, 1, 1))),
    ],
)
def test_input_descriptions_are_read(text: str, expected: Normalization):
    assert parse_description(text) == expected


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"order": "gbr"}, "order is 'gbr'"),
        ({"std": [1, 1, 0]}, "must be positive"),
        ({"scale": float("nan")}, "must be numbers, and none without end"),
        ({"mean": [0, 0, float("inf")]}, "must be numbers, and none without end"),
        ({"mean": [1, 2]}, "normalization.mean has 2 values"),
        ({"scale": None}, "normalization.scale is not a number"),
        ({"mean": "none"}, "normalization.mean is not a list of numbers"),
    ],
)
def test_a_broken_normalisation_names_its_field(values: dict, message: str):
    with pytest.raises(ValueError, match=message):
        Normalization.from_json(IMAGENET.to_json() | values)


# --- downloads --------------------------------------------------------------------------------------------

CONTENT = bytes(range(256)) * 10_000


@dataclass
class Server:
    """Gives CONTENT under any name, and breaks off connections after so many bytes.

    Attributes:
        breaks: one number for each connection to come; the later ones are whole.
        ranges: what was asked for; None for all.
    """

    address: str = ""
    breaks: list[int] = field(default_factory=list)
    ranges: list[str | None] = field(default_factory=list)
    knows_ranges: bool = True
    goes_on: threading.Event | None = None
    """A connection that breaks off stands still before, until this is set."""


@pytest.fixture
def server() -> Iterator[Server]:
    served = Server()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = self.headers["Range"]
            served.ranges.append(asked)
            first = int(asked.removeprefix("bytes=").rstrip("-")) if asked and served.knows_ranges else 0
            if first >= len(CONTENT):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(CONTENT)}")
                self.end_headers()
                return
            self.send_response(206 if first else 200)
            self.send_header("Content-Length", str(len(CONTENT) - first))
            self.end_headers()
            last = first + served.breaks.pop(0) if served.breaks else len(CONTENT)
            self.wfile.write(CONTENT[first:last])
            if last < len(CONTENT) and served.goes_on is not None:
                served.goes_on.wait(60)

        def log_message(self, format: str, *args: object) -> None: ...

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as found:
        thread = threading.Thread(target=found.serve_forever)
        thread.start()
        served.address = f"http://127.0.0.1:{found.server_port}"
        yield served
        found.shutdown()
        thread.join()


NAME = f"vgg-{hashlib.sha256(CONTENT).hexdigest()[:8]}.pth"


def fetch(server: Server, path: Path) -> list[float]:
    """Download; returns the progress that was told."""
    told: list[float] = []
    download(f"{server.address}/{path.name}", path, "fetching", lambda _, share: told.append(share or 0.0))
    return told


def files_in(folder: Path) -> list[str]:
    """Names of the files of a cache, locks left out."""
    return [entry.name for entry in folder.iterdir() if entry.is_file()]


def test_a_download_tells_its_progress_and_checks_its_digest(server: Server, tmp_path: Path):
    progress = fetch(server, tmp_path / "cache" / NAME)
    assert (tmp_path / "cache" / NAME).read_bytes() == CONTENT
    assert progress == sorted(progress)
    assert progress[-1] == 1.0
    assert len(progress) > 1


def test_a_download_that_breaks_off_goes_on_where_it_was(server: Server, tmp_path: Path):
    server.breaks = [1_000_000, 700_000]
    progress = fetch(server, tmp_path / NAME)
    assert server.ranges == [None, "bytes=1000000-", "bytes=1700000-"]
    assert (tmp_path / NAME).read_bytes() == CONTENT
    assert files_in(tmp_path) == [NAME]
    assert progress == sorted(progress)


def test_what_had_come_of_a_broken_download_is_kept_for_the_next_try(server: Server, tmp_path: Path):
    server.breaks = [1_000_000, 0]
    with pytest.raises(ConnectionError, match=r"the connection broke after 1\.0 MB, which are kept"):
        fetch(server, tmp_path / NAME)
    assert files_in(tmp_path) == [f"{NAME}.part"]
    server.ranges.clear()
    fetch(server, tmp_path / NAME)
    assert server.ranges == ["bytes=1000000-"]
    assert files_in(tmp_path) == [NAME]


def _fetch_for_ever(address: str, path: Path) -> None:
    download(address, path, "fetching", lambda text, share: None)


def test_a_download_whose_process_is_killed_goes_on_where_it_was(server: Server, tmp_path: Path):
    server.breaks, server.goes_on = [1_500_000], threading.Event()
    process = multiprocessing.get_context("spawn").Process(
        target=_fetch_for_ever, args=(f"{server.address}/{NAME}", tmp_path / NAME)
    )
    process.start()
    part = tmp_path / f"{NAME}.part"
    ends = time.monotonic() + 60
    while not (part.exists() and part.stat().st_size) and time.monotonic() < ends:
        time.sleep(0.02)
    process.kill()
    process.join()
    had = part.stat().st_size if part.exists() else 0
    server.goes_on.set()
    server.ranges.clear()
    fetch(server, tmp_path / NAME)
    assert had > 0
    assert server.ranges == [f"bytes={had}-"]
    assert files_in(tmp_path) == [NAME]


def test_a_second_download_waits_for_the_first_and_brings_nothing(server: Server, tmp_path: Path):
    held = FileLock(tmp_path / ".locks" / f"{NAME}.lock")
    (tmp_path / ".locks").mkdir()
    held.acquire()
    told: list[str] = []

    def notify(text: str, share: float | None) -> None:
        told.append(text)
        (tmp_path / NAME).write_bytes(CONTENT)
        held.release()

    download(f"{server.address}/{NAME}", tmp_path / NAME, "fetching", notify)
    assert told == ["fetching, as another process does already"]
    assert server.ranges == []


@pytest.mark.parametrize(
    "broken", [ssl.SSLError(1, "bad record mac"), OSError(errno.ENETUNREACH, "Network is unreachable")]
)
def test_a_network_that_fails_is_tried_again_and_never_taken_for_a_disk(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: OSError
):
    plain, fails = http.client.HTTPResponse.read, [False, True, True]

    def read(response: http.client.HTTPResponse, amount: int | None = None) -> bytes:
        if fails and fails.pop(0):
            raise broken
        return plain(response, amount)

    monkeypatch.setattr(http.client.HTTPResponse, "read", read)
    with pytest.raises(ConnectionError, match=r"the connection broke after 1\.0 MB, which are kept"):
        fetch(server, tmp_path / NAME)
    assert server.ranges == [None, "bytes=1048576-"]
    fetch(server, tmp_path / NAME)
    assert (tmp_path / NAME).read_bytes() == CONTENT


def test_a_server_without_ranges_starts_again(server: Server, tmp_path: Path):
    server.knows_ranges = False
    (tmp_path / f"{NAME}.part").write_bytes(CONTENT[:1_000_000])
    fetch(server, tmp_path / NAME)
    assert (tmp_path / NAME).read_bytes() == CONTENT


@pytest.mark.parametrize("left", [CONTENT, CONTENT + b"more"], ids=["whole", "too long"])
def test_a_rest_that_is_whole_already_is_taken_and_one_too_long_fetched_again(
    server: Server, tmp_path: Path, left: bytes
):
    (tmp_path / f"{NAME}.part").write_bytes(left)
    fetch(server, tmp_path / NAME)
    assert (tmp_path / NAME).read_bytes() == CONTENT


def test_a_download_that_is_not_the_promised_file_leaves_nothing(server: Server, tmp_path: Path):
    with pytest.raises(ValueError, match="came otherwise than it should be, and was removed: try again"):
        fetch(server, tmp_path / "vgg-00000000.pth")
    (tmp_path / f"{NAME}.part").write_bytes(b"another file's beginning")
    with pytest.raises(ValueError, match="came otherwise"):
        fetch(server, tmp_path / NAME)
    assert files_in(tmp_path) == []


@pytest.fixture
def torchvisions(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where torch keeps what it has fetched from torchvision's server, which is `server`."""
    import torchvision

    weights = SimpleNamespace(DEFAULT=SimpleNamespace(url=f"{server.address}/{NAME}"))
    monkeypatch.setattr(torchvision.models, "get_model_weights", lambda _: weights)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    return tmp_path / "checkpoints"


def test_a_damaged_file_in_torchs_cache_is_fetched_again(server: Server, torchvisions: Path):
    torchvisions.mkdir()
    (torchvisions / NAME).write_bytes(CONTENT[:-1] + b"?")
    encoder = build_encoder("vgg16")
    for asked in ([None], []):
        server.ranges.clear()
        with pytest.raises(WeightsFileError, match="vgg-"):  # the server's file is not one of weights
            load_encoder_weights(encoder, "default")
        assert (torchvisions / NAME).read_bytes() == CONTENT
        assert server.ranges == asked


def test_a_broken_download_is_told_in_one_sentence(server: Server, torchvisions: Path):
    server.breaks = [1_000_000, 0]
    with pytest.raises(
        EncoderDownloadError, match=r"VGG16 could not be downloaded \(the connection broke after"
    ):
        load_encoder_weights(build_encoder("vgg16"), "default")


def test_without_a_network_the_bundled_encoder_is_offered(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    def unreachable(*_: object, **__: object) -> None:
        raise urllib.error.URLError("Name or service not known")

    monkeypatch.setattr(pretrained, "download", unreachable)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    with pytest.raises(EncoderDownloadError) as error:
        load_encoder_weights(build_encoder("vgg16"), "default")
    assert "VGG16 could not be downloaded (Name or service not known)" in str(error.value)
    assert "tf_efficientnet_lite0, which needs no download" in str(error.value)


def test_timm_weights_come_with_progress_or_the_same_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    import huggingface_hub
    from huggingface_hub.errors import LocalEntryNotFoundError

    path = tmp_path / "model.safetensors"
    tensors = {
        k: v.contiguous() for k, v in build_encoder("mobilenetv3_large_100").published.state_dict().items()
    }
    online = True

    def hub(
        repository: str,
        filename: str,
        *,
        revision: str | None,
        local_files_only: bool = False,
        tqdm_class: type | None = None,
    ) -> str:
        assert (repository, filename) == ("timm/mobilenetv3_large_100.ra_in1k", "model.safetensors")
        if local_files_only or not online:
            raise LocalEntryNotFoundError("not cached; pages of advice follow") from OSError(
                113, "No route to host"
            )
        assert tqdm_class is not None
        with tqdm_class(total=10, unit="B", name="hub") as bar:
            bar.update(4)
            bar.update(6)
        save_file(tensors, path)
        return str(path)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", hub)
    stated = SimpleNamespace(etag="0" * 40)  # Git's, of which nothing can be compared
    monkeypatch.setattr(huggingface_hub, "get_hf_file_metadata", lambda url, *, timeout: stated)
    told: list[tuple[str, float | None]] = []
    encoder = build_encoder("mobilenetv3_large_100")
    load_encoder_weights(encoder, "default", lambda *line: told.append(line))
    assert [share for _, share in told] == [None, 0.4, 1.0]
    assert all(torch.equal(tensors[name], value) for name, value in encoder.published.state_dict().items())
    assert encoder.normalization == IMAGENET

    online = False
    with pytest.raises(
        EncoderDownloadError, match=r"MobileNetV3-Large could not be downloaded \(No route to host\)"
    ):
        load_encoder_weights(build_encoder("mobilenetv3_large_100"), "default")


# --- the hub ----------------------------------------------------------------------------------------------


@dataclass
class Hub:
    """In the place of the hub's client, with a cache like its own.

    Attributes:
        content: what comes. etag: what is stated of it.
        fails: what the client raises instead.
        links: whether the cache holds links to the files, as it does where the system has links.
    """

    cache: Path
    content: bytes = b""
    etag: str = ""
    fails: Exception | None = None
    links: bool = True

    def states(self, url: str, *, timeout: float) -> SimpleNamespace:
        assert url.endswith("/timm/mobilenetv3_large_100.ra_in1k/resolve/main/model.safetensors")
        return SimpleNamespace(etag=self.etag)

    def download(
        self,
        repository: str,
        filename: str,
        *,
        revision: str | None,
        local_files_only: bool = False,
        tqdm_class: type | None = None,
    ) -> str:
        from huggingface_hub.errors import LocalEntryNotFoundError

        path, blob = self.cache / "snapshots" / "1" / filename, self.cache / "blobs" / self.etag
        if path.exists():
            return str(path)
        if local_files_only:
            raise LocalEntryNotFoundError("not cached; pages of advice follow")
        assert tqdm_class is not None
        with tqdm_class(total=2, unit="B", name="hub") as bar:
            bar.update(1)
            if self.fails is not None:
                raise self.fails
        path.parent.mkdir(parents=True, exist_ok=True)
        if self.links:
            blob.parent.mkdir(exist_ok=True)
            if not blob.exists():
                blob.write_bytes(self.content)
            path.symlink_to(Path("../../blobs") / blob.name)
        else:
            path.write_bytes(self.content)
        return str(path)

    def files(self) -> list[str]:
        """What lies in the cache, links that lead nowhere among it."""
        return sorted(path.name for path in self.cache.rglob("*") if not path.is_dir())


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Hub:
    import huggingface_hub

    found = Hub(tmp_path / "cache")
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", found.download)
    monkeypatch.setattr(huggingface_hub, "get_hf_file_metadata", found.states)
    return found


@pytest.mark.parametrize(
    "address", ["", "hf-mirror.com", "https://host:port", "http://[::1", "http://1.2.3.999", "https://{host}"]
)
def test_a_malformed_address_of_the_hub_is_said_in_the_sentence_of_a_failed_download(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, address: str
):
    encoder = build_encoder("mobilenetv3_large_100")
    monkeypatch.setenv("HF_ENDPOINT", address)
    with pytest.raises(EncoderDownloadError) as error:
        load_encoder_weights(encoder, "default")
    assert (
        f"MobileNetV3-Large could not be downloaded (the environment variable HF_ENDPOINT is {address!r},"
        " which is no address of a server): connect to the network and try again"
    ) in str(error.value)


def test_an_address_that_the_hubs_client_cannot_be_imported_with_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    (tmp_path / "timm.py").write_text("raise ValueError('Invalid IPv6 URL')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "timm", raising=False)
    monkeypatch.setenv("HF_ENDPOINT", "http://[::1")
    with pytest.raises(UsageError, match=r"HF_ENDPOINT is 'http://\[::1', .*: correct or remove it"):
        build_encoder("mobilenetv3_large_100")
    monkeypatch.setenv("HF_ENDPOINT", "https://hf-mirror.com")
    with pytest.raises(ValueError, match="Invalid IPv6 URL"):
        build_encoder("mobilenetv3_large_100")


@pytest.mark.parametrize(
    "address", ["https://hf-mirror.com", "http://localhost:8080/hub/", "http://[::1]:80"]
)
def test_other_servers_than_the_hub_may_be_named(monkeypatch: pytest.MonkeyPatch, address: str):
    monkeypatch.setenv("HF_ENDPOINT", address)
    assert malformed_hub() == ""


@pytest.mark.parametrize("links", [True, False], ids=["linked", "copied"])
def test_weights_of_the_hub_that_are_not_the_promised_ones_are_removed_and_fetched_again(
    hub: Hub, tmp_path: Path, links: bool
):
    encoder = build_encoder("mobilenetv3_large_100")
    save_file({k: v.contiguous() for k, v in encoder.published.state_dict().items()}, tmp_path / "whole")
    whole = (tmp_path / "whole").read_bytes()
    hub.etag, hub.links = hashlib.sha256(whole).hexdigest(), links
    hub.content = whole[:-1] + bytes([whole[-1] ^ 1])
    with pytest.raises(EncoderDownloadError) as error:
        load_encoder_weights(encoder, "default")
    assert (
        "MobileNetV3-Large could not be downloaded (model.safetensors came otherwise than it should be, and"
        " was removed): connect to the network and try again"
    ) in str(error.value)
    assert hub.files() == []
    assert not encoder.pretrained

    hub.content = whole
    load_encoder_weights(encoder, "default")
    assert encoder.pretrained
    assert "model.safetensors" in hub.files()


@pytest.mark.parametrize(
    ("fails", "reason"),
    [
        (
            OSError("Consistency check failed: file should be of size 2 but has size 1.\nPlease retry."),
            "Consistency check failed: file should be of size 2 but has size 1.",
        ),
        (
            HTTPError("peer closed connection without sending complete message body"),
            "peer closed connection without sending complete message body",
        ),
        (
            RuntimeError("Data processing error: CAS service error : Reqwest Error"),
            "Data processing error: CAS service error : Reqwest Error",
        ),
        (
            ValueError("Xet headers have not been correctly set by the server."),
            "Xet headers have not been correctly set by the server.",
        ),
    ],
    ids=["broken off", "connection", "xet", "headers"],
)
def test_whatever_the_client_of_the_hub_says_becomes_one_sentence(hub: Hub, fails: Exception, reason: str):
    hub.fails = fails
    with pytest.raises(EncoderDownloadError) as error:
        load_encoder_weights(build_encoder("mobilenetv3_large_100"), "default")
    assert f"MobileNetV3-Large could not be downloaded ({reason}): connect to" in str(error.value)
    assert "\n" not in str(error.value)
    assert hub.files() == []


def test_who_is_told_of_a_download_may_end_it(hub: Hub):
    class EnoughError(Exception): ...

    def notify(text: str, progress: float | None) -> None:
        if progress is not None:
            raise EnoughError

    with pytest.raises(EnoughError):
        load_encoder_weights(build_encoder("mobilenetv3_large_100"), "default", notify)
