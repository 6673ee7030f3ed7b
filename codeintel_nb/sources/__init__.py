"""From a repository to chunks."""
