"""Latents with dynamics of their own: hidden Markov chains, fitted and inferred exactly."""
