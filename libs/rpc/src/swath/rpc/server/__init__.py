"""What a server does around its methods: the method table, errors, health, reflection, metrics, the call log."""
