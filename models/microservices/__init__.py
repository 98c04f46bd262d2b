"""A system of microservices, from its call graph and its metrics."""

from models.microservices.system import Microservices

__all__ = ["Microservices"]
