"""Types text on a phone, and checks that it has arrived."""
