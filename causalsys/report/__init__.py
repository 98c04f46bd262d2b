"""Figures and self-contained pages."""

from causalsys.report.page import Figure, Section, Table, page, write_page

__all__ = ["Figure", "Section", "Table", "page", "write_page"]
