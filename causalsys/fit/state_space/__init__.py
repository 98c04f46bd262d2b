"""Several latents that last behind one value: a linear Gaussian state-space model of traces."""
