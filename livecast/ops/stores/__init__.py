"""The stores a node needs: Valkeys of our own, and looks at those of others."""
