"""The process of a replica: the user's object, and how its methods are run."""
