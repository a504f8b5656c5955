"""From a trained LayerNorm network to UN: what it costs, and how to pay less.

- batches: Data for a conversion: batches that a model is called with, as often as needed.
- calibrate: Puts a fixed affine in the place of LayerNorms without training, as near as data
  allows.
- choose: Chooses which LayerNorms stay: as few as keep the loss on held-out data below a limit.
- converted_file: A converted network in a file: its weights, and which norms were put where.
- divergence: How far a converted model's answers are from the original's.
- interval: The interval of a mean over samples of which perhaps only a few changed.
- loss: What a conversion costs on held-out data, by a named metric, with its interval.
- measure: What each LayerNorm of a network costs to lose, measured one at a time.
- norm_io: What goes into the norms of a model and the layers beside them, and what comes out.
- places: The LayerNorms of a model that run on the data, and what calibrates one.
- fits/: What is fitted to data: a scale and a shift for a norm, and the linear layers beside it.
- training/: A conversion while training: norms that fade into an affine, and the loss to train
  with.
"""

from un_deploy.conversion.calibrate import Calibration, calibrate
from un_deploy.conversion.choose import Choice, choose
from un_deploy.conversion.converted_file import load_converted, save_converted
from un_deploy.conversion.measure import Harm, measure
from un_deploy.conversion.training.distillation import distil, distillation_loss
from un_deploy.conversion.training.schedule import Schedule

__all__ = [
    "Calibration",
    "Choice",
    "Harm",
    "Schedule",
    "calibrate",
    "choose",
    "distil",
    "distillation_loss",
    "load_converted",
    "measure",
    "save_converted",
]
