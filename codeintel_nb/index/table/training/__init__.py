"""How the default embedding table was made: fetch, audit, mine, train. None of it is needed at run time."""
