"""What can be asked, once for every face."""
