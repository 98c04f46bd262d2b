"""FIT: a declaration and data in, a fitted model out."""
