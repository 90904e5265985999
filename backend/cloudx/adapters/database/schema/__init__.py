"""Tables, migrations' entry and the rights on them."""
