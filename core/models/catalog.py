"""The encoders and architectures that come with the program. Data only; `registry.py` serves it.

`parameters`, `activation_bytes` and `macs_per_pixel` are measured, not guessed; tests hold the networks
against them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from core.models.specs import EncoderSpec, ModelSpec, OptionSpec

ENCODERS: Final = (
    EncoderSpec(
        name="tf_efficientnet_lite0",
        title="EfficientNet-Lite0 (bundled, no download)",
        licence="Apache-2.0",
        source="embedded",
        parameters=2_958_848,
        activation_bytes=1_587,
        macs_per_pixel=7_251,
        origin="tf_efficientnet_lite0",
    ),
    EncoderSpec(
        name="tf_efficientnet_lite3",
        title="EfficientNet-Lite3",
        licence="Apache-2.0",
        source="timm",
        parameters=6_422_016,
        activation_bytes=2_803,
        macs_per_pixel=16_477,
        origin="tf_efficientnet_lite3.in1k",
    ),
    EncoderSpec(
        name="efficientnet_b0",
        title="EfficientNet-B0",
        licence="Apache-2.0",
        source="timm",
        parameters=3_595_388,
        activation_bytes=1_754,
        macs_per_pixel=7_261,
        origin="efficientnet_b0.ra_in1k",
    ),
    EncoderSpec(
        name="mobilenetv2_100",
        title="MobileNetV2",
        licence="Apache-2.0",
        source="timm",
        parameters=1_811_712,
        activation_bytes=1_551,
        macs_per_pixel=5_569,
        origin="mobilenetv2_100.ra_in1k",
    ),
    EncoderSpec(
        name="mobilenetv3_large_100",
        title="MobileNetV3-Large",
        licence="Apache-2.0",
        source="timm",
        parameters=2_971_952,
        activation_bytes=884,
        macs_per_pixel=4_260,
        origin="mobilenetv3_large_100.ra_in1k",
    ),
    EncoderSpec(
        name="resnet18",
        title="ResNet-18",
        licence="Apache-2.0",
        source="timm",
        parameters=11_176_512,
        activation_bytes=443,
        macs_per_pixel=36_144,
        origin="resnet18.a1_in1k",
    ),
    EncoderSpec(
        name="resnet34",
        title="ResNet-34",
        licence="Apache-2.0",
        source="timm",
        parameters=21_284_672,
        activation_bytes=644,
        macs_per_pixel=73_008,
        origin="resnet34.a1_in1k",
    ),
    EncoderSpec(
        name="resnet50",
        title="ResNet-50",
        licence="Apache-2.0",
        source="timm",
        parameters=23_508_032,
        activation_bytes=1_718,
        macs_per_pixel=81_456,
        origin="resnet50.a1_in1k",
    ),
    EncoderSpec(
        name="regnety_016",
        title="RegNetY-1.6GF",
        licence="BSD-3-Clause",
        source="timm",
        parameters=10_313_430,
        activation_bytes=1_441,
        macs_per_pixel=32_104,
        origin="regnety_016.tv2_in1k",
    ),
    EncoderSpec(
        name="vgg16",
        title="VGG16",
        licence="BSD-3-Clause",
        source="torchvision",
        parameters=14_714_688,
        activation_bytes=1_456,
        macs_per_pixel=305_856,
        origin="vgg16",
    ),
    EncoderSpec(
        name="vgg19",
        title="VGG19",
        licence="BSD-3-Clause",
        source="torchvision",
        parameters=20_024_384,
        activation_bytes=1_560,
        macs_per_pixel=388_800,
        origin="vgg19",
    ),
    EncoderSpec(
        name="plain",
        title="Plain convolutions (no pretraining)",
        licence="Apache-2.0",
        source="none",
        parameters=2_360_432,
        activation_bytes=605,
        macs_per_pixel=17_712,
    ),
)

_ENCODER_WIDTH: Final = OptionSpec(
    name="encoder_width",
    help="channels of the plain encoder at full resolution; doubled at each of the next four strides",
    default=16,
    minimum=2,
    maximum=64,
)
_FC: Final = OptionSpec(
    name="fc",
    help="channels of fc6 and fc7; 4096 is the paper's width and takes over VGG's pretrained classifier",
    default=1024,
    minimum=16,
    maximum=4096,
)
_TRAINING: Final = OptionSpec(
    name="training",
    help="staged: coarse to fine, each from the last; at_once: all skips from the start, scaled down",
    default="staged",
    choices=("staged", "at_once"),
)
_STAGE_8S: Final = OptionSpec(
    name="stage",
    help="how far training in stages has come; weights saved in the middle of a run remember it",
    default="fcn8s",
    choices=("fcn32s", "fcn16s", "fcn8s"),
)
_STAGE_16S: Final = replace(_STAGE_8S, default="fcn16s", choices=("fcn32s", "fcn16s"))
_FCN_PAPER: Final = (
    "Long, Shelhamer, Darrell: Fully Convolutional Networks for Semantic Segmentation,"
    " CVPR 2015, arXiv:1411.4038"
)
_FCN_ENCODERS: Final = ("vgg16", "vgg19", "plain")
_FEATURE_ENCODERS: Final = (
    "tf_efficientnet_lite0",
    "tf_efficientnet_lite3",
    "efficientnet_b0",
    "mobilenetv2_100",
    "mobilenetv3_large_100",
    "resnet18",
    "resnet34",
    "resnet50",
    "regnety_016",
    "plain",
)
_HIDDEN: Final = OptionSpec(
    name="hidden", help="units of the head's hidden layer", default=128, minimum=4, maximum=1024
)
_VIEWS: Final = OptionSpec(
    name="views",
    help="zooms at which images are looked at; the first of three costs three quarters of the time",
    default="2,1,0.5",
    choices=("2,1,0.5", "1,0.5", "0.5"),
)


def _fcn(
    stride: int, *, parameters: int, activation_bytes: int, macs: int, options: tuple[OptionSpec, ...]
) -> ModelSpec:
    """FCN with its finest scores at this stride."""
    return ModelSpec(
        name=f"fcn{stride}s",
        title=f"FCN-{stride}s",
        family="FCN",
        paper=_FCN_PAPER,
        year=2015,
        parameters=parameters,
        encoders=_FCN_ENCODERS,
        size_multiple=32,
        build_from=f"core.models.fcn:fcn{stride}s",
        activation_bytes=activation_bytes,
        macs_per_pixel=macs,
        options=(*options, _ENCODER_WIDTH),
    )


MODELS: Final = (
    ModelSpec(
        name="unet",
        title="U-Net",
        family="U-Net",
        paper="Ronneberger, Fischer, Brox: U-Net: Convolutional Networks for Biomedical Image Segmentation,"
        " MICCAI 2015, arXiv:1505.04597",
        year=2015,
        parameters=5_198_482,
        encoders=_FEATURE_ENCODERS,
        size_multiple=32,
        build_from="core.models.unet:unet",
        activation_bytes=779,
        macs_per_pixel=37_040,
        options=(
            OptionSpec(
                name="width",
                help="decoder channels at full resolution; doubled at each coarser stride",
                default=16,
                minimum=2,
                maximum=64,
            ),
            OptionSpec(
                name="norm",
                help="normalisation of decoder and plain encoder: batch, or group for batches under 8",
                default="batch",
                choices=("batch", "group"),
            ),
            _ENCODER_WIDTH,
        ),
    ),
    _fcn(8, parameters=41_459_142, activation_bytes=50, macs=26_134, options=(_FC, _TRAINING, _STAGE_8S)),
    _fcn(16, parameters=41_458_564, activation_bytes=34, macs=26_126, options=(_FC, _TRAINING, _STAGE_16S)),
    _fcn(32, parameters=41_457_474, activation_bytes=27, macs=26_122, options=(_FC,)),
    ModelSpec(
        name="instant",
        title="Instant learner",
        family="Instant",
        paper="A head on frozen multi-scale features, fitted in seconds; this program's own",
        year=2026,
        parameters=3_155_842,
        encoders=_FEATURE_ENCODERS,
        size_multiple=64,
        build_from="core.models.instant:instant",
        activation_bytes=200,
        macs_per_pixel=32_574,
        options=(_HIDDEN, _VIEWS, _ENCODER_WIDTH),
    ),
    ModelSpec(
        name="blend",
        title="Instant learner and deep network",
        family="Instant",
        paper="The geometric mean of both learners' probabilities; this program's own",
        year=2026,
        parameters=8_354_324,
        encoders=tuple(encoder.name for encoder in ENCODERS),
        size_multiple=64,
        build_from="core.models.blend:blend",
        activation_bytes=979,
        macs_per_pixel=76_865,
        trained_by="auto",
        options=(
            OptionSpec(
                name="deep",
                help="the deep network, as JSON",
                default='{"name": "unet", "encoder": null, "options": {}}',
                text=True,
            ),
            OptionSpec(
                name="instant_encoder",
                help="what the instant learner stands on",
                default=_FEATURE_ENCODERS[0],
                choices=_FEATURE_ENCODERS,
            ),
            _HIDDEN,
            _VIEWS,
            OptionSpec(
                name="share", help="of the instant learner, percent", default=50, minimum=0, maximum=100
            ),
            OptionSpec(
                name="mirrored", help="1: look at mirrored images as well", default=0, minimum=0, maximum=1
            ),
        ),
    ),
)
