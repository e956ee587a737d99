"""One folder for each peer: what is installed for it, and a server of ours by its public interface."""
