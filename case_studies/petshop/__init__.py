"""Real incidents of a shop of microservices, with known causes, judged by us and by the rivals."""
