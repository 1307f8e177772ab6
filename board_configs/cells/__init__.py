"""Shipped cell files."""
