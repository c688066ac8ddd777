"""The report: results in, one self-contained HTML page and its report.json out."""
