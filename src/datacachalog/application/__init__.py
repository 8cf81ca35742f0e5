"""What the catalog does, told in terms of the ports: no store, disk or library is known here."""
