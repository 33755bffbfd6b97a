"""What staff do in a room and see of it: sanctions, reports, the desk."""
