"""A plugin as laboratories write them for the reference's base classes: nodes and a data module."""
