"""Labelled images as arrays: CIFAR-10, Tiny-ImageNet, a folder of class folders."""

from models.datasets.dataset import Dataset
from models.datasets.load import load_dataset

__all__ = ["Dataset", "load_dataset"]
