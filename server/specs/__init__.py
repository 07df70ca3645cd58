"""The specifications: the contract in machine-readable form, built from the structs that check the wire."""
