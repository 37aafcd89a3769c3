"""How the world speaks. One folder per standard, one per version inside it. Sans-IO throughout."""
