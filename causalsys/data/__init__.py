"""Tables and traces in, as checked tensors."""
