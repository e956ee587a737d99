"""The phases of a run: statistical fits, gradient training, calibration, evaluation."""
