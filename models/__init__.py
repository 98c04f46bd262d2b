"""Ready-made models of real systems, written as a user would write them."""
