"""Shipped pack files."""
