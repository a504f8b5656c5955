"""Whether this machine can run engines of a flavour of TensorRT through Python."""

from __future__ import annotations

from un_deploy.engines.flavor import TITLES, Flavor, library
from un_deploy.errors import InputError, needs
from un_deploy.gpu import ask_driver


def check_machine(flavor: Flavor) -> None:
    """Refuse a machine that cannot, before anything is built.

    Raises:
        MissingPackageError: the flavour, or torch, which holds inputs and outputs, is missing.
        InputError: the flavour does not load, or there is no GPU, or torch has no CUDA.
    """
    library(flavor)
    driver = ask_driver()
    if not driver.gpus:
        why = "; ".join(driver.problems) or "CUDA sees none"
        raise InputError(f"{TITLES[flavor]} runs engines on an NVIDIA GPU: {why}")
    with needs("torch"):
        import torch
    if not torch.cuda.is_available():
        raise InputError(f"{TITLES[flavor]} needs a torch with CUDA for inputs and outputs")
