"""Every model in one sentence, for people who choose one. Torch-free."""

from __future__ import annotations

from typing import Final

ABOUT: Final[dict[str, str]] = {
    "unet": "Fine detail from few images: what the encoder saw at each size is joined to its decoder.",
    "unet_paper": "The U-Net of the paper, from random weights, for microscope images and the like.",
    "fcn8s": "VGG made fully convolutional; its scores are refined from two finer layers.",
    "fcn16s": "As FCN-8s, but refined from one finer layer: coarser borders.",
    "fcn32s": "VGG made fully convolutional, the first of its kind: coarse borders.",
    "fcn_resnet50": "FCN on a dilated ResNet-50: knows objects well, draws smooth borders.",
    "fcn_resnet101": "FCN on a dilated ResNet-101: twice the layers of ResNet-50, for a GPU.",
    "segnet": "Upsamples to where each maximum was: light on memory, thin borders.",
    "deconvnet": "VGG mirrored, with fully connected layers between: large, and slow without a GPU.",
    "fcdensenet103": "Every layer sees all before it: few parameters, no pretraining, much memory.",
    "fcdensenet67": "FC-DenseNet with 67 layers: between the small and the full one.",
    "fcdensenet56": "FC-DenseNet with 56 layers: the smallest, no pretraining.",
    "dilatednet": "Looks far around each pixel by dilated convolutions instead of pooling.",
    "deeplabv2": "Looks at four distances at once; large, for a GPU.",
    "deeplabv3": "Looks at several distances and at the whole picture; strong on scenes.",
    "deeplabv3plus": "DeepLab v3 with finer borders: a good choice for street scenes and large objects.",
    "pspnet": "Judges each pixel by what the whole picture and its quarters show; strong on scenes.",
    "refinenet": "Refines coarse scores step by step at full strength; large, for a GPU.",
    "gscnn": "A second stream learns borders by themselves: sharp and thin objects.",
    "instant": "A small head on a frozen encoder: learns in seconds, follows every label.",
    "blend": "Both learners asked together, after a run of both: where one is sure that a pixel is not of a"
    " class, the other cannot talk it into it.",
    "random_forest": "No network: decision trees on brightness, edges and texture; a baseline without a GPU.",
}
