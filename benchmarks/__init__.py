"""Side-by-side runs against peers; one command and one table each."""
