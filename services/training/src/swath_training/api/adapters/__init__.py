"""Events in the forms that the outside knows."""
