"""What may be searched, and for whom."""
