"""AUDIT: why was the model wrong? A predictor and its error as nodes of the causal model."""
