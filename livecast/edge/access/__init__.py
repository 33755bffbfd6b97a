"""Who somebody is, and how far their word goes."""
