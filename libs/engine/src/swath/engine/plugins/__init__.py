"""Plugins: code of other packages that runs in this process, where the operator allows it.

`settings` has the allow list, `checkout` fetches a tag of a git repository to a local folder, `loading` imports classes
from there, `reference` and `reference_data` run classes of the reference package's base classes.
Importing this package imports neither torch nor any plugin.
"""
