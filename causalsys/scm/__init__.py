"""DECLARE: what a system is. Pure data; nothing is trained here."""
