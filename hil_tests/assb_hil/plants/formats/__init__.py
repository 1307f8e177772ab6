"""Shapes of cells: layers, area, separator and thermal masses."""
