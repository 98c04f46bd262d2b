"""ROOT CAUSE: which mechanism changed, how sure, and what restoring it would do."""
