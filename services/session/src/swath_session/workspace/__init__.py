"""The workspace over the network: files in and out, and how much of it an identity may have."""
