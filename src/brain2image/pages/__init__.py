"""Pages of the report: numbers and tables in, one HTML page with its own style out."""
