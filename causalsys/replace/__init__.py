"""REPLACE: predictors that follow the causal model, comparison under shift, and guard rails."""
