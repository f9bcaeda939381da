"""F-CAM: decoders that turn a frozen classifier's features into a class activation map at image size.

Belharbi et al., "F-CAM: Full Resolution Class Activation Maps via Guided Parametric Upscaling", WACV 2022. Learnt from
image labels alone: no box takes part.
"""
