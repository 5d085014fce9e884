"""Training: needs scikit-learn and joblib, which prediction does not."""
