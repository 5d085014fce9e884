"""Measuring: figures, datasets, baselines, cross-validation, checks of the data, and the gate."""
