"""Jobs of unknown size, servers of unknown speed: sixteen policies, one told from the rest."""
