"""The encoders of segmentation_models_pytorch 0.6, as `smp:NAME`.

Written by `python -m tests.models.figures smp`; a test compares the names with the library's own.
"""

from __future__ import annotations

from typing import Final

from core.models.specs import EncoderSpec

_NON_COMMERCIAL: Final = ("instagram", "ssl", "swsl")
"""Weights trained on a billion pictures of Instagram and the like: CC-BY-NC-4.0."""


def _licence(name: str, weights: str) -> str:
    """Of code and weights, as far as the library says it."""
    code = "MIT"
    if name.startswith("mit_"):
        code = "NVIDIA Source Code License, not for commercial use"
    elif name.startswith("mobileone_"):
        code = "Apple sample code licence"
    elif name.startswith("efficientnet-"):
        code = "Apache-2.0"
    page = f"huggingface.co/smp-hub/{name}.{weights.replace('+', '-')}"
    terms = "CC-BY-NC-4.0" if weights in _NON_COMMERCIAL else f"see {page}"
    return f"{code}; weights {terms}"


def _spec(
    name: str, weights: str, parameters: int, activation_bytes: int, macs_per_pixel: int, dilatable: bool
) -> EncoderSpec:
    return EncoderSpec(
        name=f"smp:{name}",
        title=f"smp: {name} (segmentation_models_pytorch, weights {weights})",
        licence=_licence(name, weights),
        source="smp",
        parameters=parameters,
        activation_bytes=activation_bytes,
        macs_per_pixel=macs_per_pixel,
        origin=f"{name}/{weights}",
        output_strides=(32, 16, 8) if dilatable else (32,),
    )


# name, weights, parameters, activation bytes and multiplications a pixel, whether it can be dilated
_ROWS: Final[tuple[tuple[str, str, int, int, int, bool], ...]] = (
    ("resnet18", "imagenet", 11_176_512, 442, 36_144, True),
    ("resnet34", "imagenet", 21_284_672, 643, 73_008, True),
    ("resnet50", "imagenet", 23_508_032, 1_714, 81_456, True),
    ("resnet101", "imagenet", 42_500_160, 2_531, 155_440, True),
    ("resnet152", "imagenet", 58_143_808, 3_541, 229_424, True),
    ("resnext50_32x4d", "imagenet", 22_979_904, 2_238, 84_272, True),
    ("resnext101_32x4d", "ssl", 42_128_704, 3_328, 158_800, True),
    ("resnext101_32x8d", "imagenet", 86_742_336, 4_922, 327_088, True),
    ("resnext101_32x16d", "instagram", 191_977_792, 8_110, 720_688, True),
    ("resnext101_32x32d", "instagram", 466_481_472, 14_486, 1_735_984, True),
    ("resnext101_32x48d", "instagram", 826_362_176, 20_862, 3_055_408, True),
    ("dpn68", "imagenet", 11_778_602, 1_964, 46_344, True),
    ("dpn68b", "imagenet+5k", 11_778_602, 1_964, 46_344, True),
    ("dpn92", "imagenet+5k", 34_979_392, 3_346, 129_524, True),
    ("dpn98", "imagenet", 58_881_728, 4_623, 232_552, True),
    ("dpn107", "imagenet+5k", 84_228_800, 6_600, 364_638, True),
    ("dpn131", "imagenet", 76_565_504, 6_241, 319_096, True),
    ("vgg11", "imagenet", 9_220_480, 968, 149_184, False),
    ("vgg11_bn", "imagenet", 9_225_984, 1_560, 149_184, False),
    ("vgg13", "imagenet", 9_404_992, 1_352, 222_912, False),
    ("vgg13_bn", "imagenet", 9_410_880, 2_328, 222_912, False),
    ("vgg16", "imagenet", 14_714_688, 1_456, 305_856, False),
    ("vgg16_bn", "imagenet", 14_723_136, 2_536, 305_856, False),
    ("vgg19", "imagenet", 20_024_384, 1_560, 388_800, False),
    ("vgg19_bn", "imagenet", 20_035_392, 2_744, 388_800, False),
    ("senet154", "imagenet", 113_039_984, 7_210, 412_244, True),
    ("se_resnet50", "imagenet", 26_039_024, 2_072, 76_886, True),
    ("se_resnet101", "imagenet", 47_277_872, 3_163, 150_904, True),
    ("se_resnet152", "imagenet", 64_772_848, 4_511, 224_916, True),
    ("se_resnext50_32x4d", "imagenet", 25_510_896, 2_680, 84_310, True),
    ("se_resnext101_32x4d", "imagenet", 46_906_416, 4_044, 158_872, True),
    ("densenet121", "imagenet", 6_953_856, 2_597, 56_464, False),
    ("densenet169", "imagenet", 12_484_480, 3_133, 66_928, False),
    ("densenet201", "imagenet", 18_092_928, 4_044, 85_488, False),
    ("densenet161", "imagenet", 26_472_000, 4_836, 153_972, False),
    ("inceptionresnetv2", "imagenet", 54_306_464, 2_398, 176_634, False),
    ("inceptionv4", "imagenet", 41_142_816, 2_207, 162_252, False),
    ("efficientnet-b0", "imagenet", 4_007_548, 1_804, 7_261, True),
    ("efficientnet-b1", "imagenet", 6_513_184, 2_521, 10_922, True),
    ("efficientnet-b2", "imagenet", 7_700_994, 2_649, 12_615, True),
    ("efficientnet-b3", "imagenet", 10_696_232, 3_505, 18_571, True),
    ("efficientnet-b4", "imagenet", 17_548_616, 4_641, 29_134, True),
    ("efficientnet-b5", "imagenet", 28_340_784, 6_394, 45_876, True),
    ("efficientnet-b6", "imagenet", 40_735_704, 8_193, 65_591, True),
    ("efficientnet-b7", "imagenet", 63_786_960, 11_003, 101_328, True),
    ("mobilenet_v2", "imagenet", 2_223_872, 1_560, 5_969, True),
    ("xception", "imagenet", 20_806_952, 2_745, 91_536, False),
    ("timm-efficientnet-b0", "imagenet", 4_007_548, 2_233, 7_261, True),
    ("timm-efficientnet-b1", "imagenet", 6_513_184, 3_102, 10_922, True),
    ("timm-efficientnet-b2", "imagenet", 7_700_994, 3_253, 12_615, True),
    ("timm-efficientnet-b3", "imagenet", 10_696_232, 4_307, 18_571, True),
    ("timm-efficientnet-b4", "imagenet", 17_548_616, 5_688, 29_134, True),
    ("timm-efficientnet-b5", "imagenet", 28_340_784, 7_824, 45_876, True),
    ("timm-efficientnet-b6", "imagenet", 40_735_704, 10_015, 65_591, True),
    ("timm-efficientnet-b7", "imagenet", 63_786_960, 13_428, 101_328, True),
    ("timm-efficientnet-b8", "imagenet", 84_596_142, 16_574, 136_882, True),
    ("timm-efficientnet-l2", "noisy-student", 474_804_308, 45_036, 737_134, True),
    ("timm-tf_efficientnet_lite0", "imagenet", 3_371_008, 1_562, 7_251, True),
    ("timm-tf_efficientnet_lite1", "imagenet", 4_135_680, 2_028, 9_589, True),
    ("timm-tf_efficientnet_lite2", "imagenet", 4_811_072, 2_127, 11_024, True),
    ("timm-tf_efficientnet_lite3", "imagenet", 6_916_096, 2_768, 16_477, True),
    ("timm-tf_efficientnet_lite4", "imagenet", 11_725_568, 3_648, 26_273, True),
    ("timm-skresnet18", "imagenet", 11_441_952, 743, 36_148, True),
    ("timm-skresnet34", "imagenet", 21_764_720, 1_194, 73_015, True),
    ("timm-skresnext50_32x4d", "imagenet", 23_939_056, 3_340, 84_286, True),
    ("mit_b0", "imagenet", 3_319_392, 694, 9_245, False),
    ("mit_b1", "imagenet", 13_151_424, 1_309, 33_850, False),
    ("mit_b2", "imagenet", 24_196_288, 2_366, 66_056, False),
    ("mit_b3", "imagenet", 44_072_128, 3_567, 123_716, False),
    ("mit_b4", "imagenet", 60_842_688, 5_084, 179_665, False),
    ("mit_b5", "imagenet", 81_443_008, 6_077, 235_778, False),
    ("mobileone_s0", "imagenet", 4_268_272, 1_551, 20_944, True),
    ("mobileone_s1", "imagenet", 3_544_192, 1_285, 16_518, True),
    ("mobileone_s2", "imagenet", 5_835_648, 1_538, 25_948, True),
    ("mobileone_s3", "imagenet", 8_121_600, 1_847, 37_868, True),
    ("mobileone_s4", "imagenet", 12_902_248, 2_522, 59_478, True),
)

SMP_ENCODERS: Final = tuple(_spec(*row) for row in _ROWS)
