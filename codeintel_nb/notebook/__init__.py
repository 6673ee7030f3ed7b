"""The notebook interface: magics, displays of results, the panel and the code map."""
