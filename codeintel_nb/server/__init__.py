"""What a server shares among its clients."""
