"""Jobs of unknown size on servers of unknown speed: sixteen policies, one simulated from the rest."""
