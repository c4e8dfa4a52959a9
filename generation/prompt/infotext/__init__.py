"""What programs write about a picture, found in pasted text and converted into a prompt."""
