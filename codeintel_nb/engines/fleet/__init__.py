"""An engine whose searches run on several processes or machines, by an existing cluster."""
