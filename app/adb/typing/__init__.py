"""What types text on a phone, and makes sure that it has arrived."""
