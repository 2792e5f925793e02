"""What every room asks for: it imports nothing of ours."""
