"""Figures of the report: one function a figure, tables and arrays in, a matplotlib figure out."""
