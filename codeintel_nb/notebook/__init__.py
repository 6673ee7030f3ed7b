"""Notebook interface: magics, results, the panel and the code map."""
